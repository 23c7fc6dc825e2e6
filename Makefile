# `make` alone prints what there is. Everything runs on a fresh Debian 12 or Ubuntu 24.04 with rustup's stable
# (>= 1.92), Python 3 and make; `make setup` adds what is missing and may be repeated at any time.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.cache/tools/bin:$(PATH):$(HOME)/.cargo/bin
# Models, runtime libraries and test clips of this checkout; the same folder as in .cargo/config.toml.
export KINORA_MODELS := $(CURDIR)/.cache/models
# Two compilers at a time: the memory of a small machine is the limit, not its cores.
export CARGO_BUILD_JOBS ?= 2

KINORA := target/ci/kinora
CARGO_CI := --profile ci --locked

.PHONY: help setup fetch-demo fetch-test-models demo test goldens lint fmt bench bench-peers bench-gpu soak fuzz docs clean

help: ## what there is
	@printf 'kinora turns video into better or other video.\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nFirst time: make demo\n'

setup: ## install what is missing and build the command
	@bash scripts/setup.sh

fetch-demo: setup ## fetch the runtime, the models and the clip of the demo
	@$(KINORA) models pull onnxruntime-openvino waifu2x-photo-x2 realesr-animevideov3-x4 clip-carphone

fetch-test-models: setup ## fetch the models, libraries and clips that tests use
	@bash scripts/fetch_test_models.sh

demo: fetch-demo ## enlarge two clips with real weights and show the result (about 10 minutes on 2 cores)
	@bash scripts/demo.sh

# A runtime library, network or clip that is not there fails tests here instead of skipping them.
test: export KINORA_TEST_REQUIRE_RUNTIME := 1
test: setup fetch-test-models ## every test
	cargo nextest run --workspace --cargo-profile ci --locked -E 'not binary(goldens)'
	cargo test --workspace --doc $(CARGO_CI)
	python3 -m unittest discover -s scripts
	@$(MAKE) goldens

goldens: ## recorded reference cases; KINORA_GOLDENS (folders) and KINORA_GOLDENS_FILTER (part of a name) choose
	cargo test -p kinora --test goldens $(CARGO_CI)

lint: setup ## format, clippy, licences and advisories, forbidden words
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets $(CARGO_CI) -- -D warnings
	bash scripts/check_dependencies.sh
	bash scripts/check_tree.sh

fmt: ## format the Rust code
	cargo fmt --all
	cargo fmt --manifest-path fuzz/Cargo.toml

docs: ## the API documentation, into target/doc
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps $(CARGO_CI)
	@echo 'open target/doc/kinora_pipeline/index.html'

bench: ## the figures of docs/benchmarks.md, or those that BENCH names (BENCH="overlap memory")
	@$(MAKE) fetch-test-models
	cargo build --profile ci --locked -p kinora-models --example bench_image_model
	python3 scripts/bench/bench.py $(BENCH)

bench-peers: ## the reference job beside other programs, which it installs (about 3 GB)
	@$(MAKE) fetch-test-models
	bash scripts/bench/setup_peers.sh
	cargo build --profile ci --locked -p kinora-models --example bench_image_model
	python3 scripts/bench/bench.py network reference

bench-gpu: ## the figures that need a GPU
	@echo 'bench-gpu: needs an NVIDIA GPU and an ONNX Runtime with a CUDA provider; kinora has no CUDA device yet (docs/STATUS.md)' >&2; exit 1

soak: setup ## ten minutes of jobs, some of them stopped or killed (SOAK_SECONDS=600)
	python3 scripts/soak.py $(or $(SOAK_SECONDS),600)

fuzz: setup ## made-up input for every reader of foreign bytes, FUZZ_SECONDS=30 each, or for those of FUZZ="nut onnx"
	@python3 scripts/fetch_tools.py cargo-fuzz
	@python3 scripts/fuzz.py --seconds $(or $(FUZZ_SECONDS),30) $(FUZZ)

clean: ## remove what was built and made here; fetched models and tools stay in .cache
	cargo clean
	rm -rf out fuzz/target fuzz/seeds

#!/usr/bin/env python3
"""The figures of docs/benchmarks.md.

    python3 scripts/bench/bench.py [--rounds N] [--threads N] [--out FOLDER] [NAME ...]

Names: floors, network, reference, identity, overlap, memory, serial; without one, all in this order. `KINORA` is the command
(default target/ci/kinora), `KINORA_MODELS` the folder of models, `KINORA_PEERS` the programs compared with
(scripts/bench/setup_peers.sh). A benchmark looks, it does not judge: the exit status is 0 whatever the figures are.
Run it on a machine that does nothing else; the load average stands beside each figure.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
from pathlib import Path

from setup import ROOT, Absent, Setup

NAMES = ["floors", "network", "reference", "identity", "overlap", "memory", "serial"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench")
    chosen = parser.parse_args()
    setup = Setup.of(chosen.out, max(chosen.rounds, 1), max(chosen.threads, 1))
    setup.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.names or NAMES:
        try:
            importlib.import_module(name).main(setup)
        except Absent as absent:
            print(f"{name} is left out: {absent}")
        except subprocess.CalledProcessError as error:
            print(f"{name} is left out: {' '.join(map(str, error.cmd[:4]))} ... failed with {error.returncode}")


if __name__ == "__main__":
    main()

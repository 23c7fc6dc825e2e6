#!/usr/bin/env python3
"""Runs the fuzz targets one after another, each from seeds that are made here.

    python3 scripts/fuzz.py [--seconds N] [TARGET ...]        default 30 seconds, every target

Ends with a line a target; a fault says where its input lies and how to repeat it, and the exit status is 1. Inputs that
reached new code stay in fuzz/corpus for the next run. Needs cargo-fuzz, and FFmpeg for some of the seeds.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "fuzz"
CRATES = ROOT / "crates"
# No sanitizer: what is built here is safe code, and without one the stable compiler does.
CARGO_FUZZ = ["cargo", "fuzz"]
PLAIN = ["--sanitizer", "none"]
# Longest that one input may take, and most memory of a run. The harness counts the memory of each input (fuzz/src).
LIMITS = ["-timeout=10", "-rss_limit_mb=2048"]


def targets() -> list[str]:
    manifest = tomllib.loads((FUZZ / "Cargo.toml").read_text(encoding="utf-8"))
    return [target["name"] for target in manifest["bin"]]


# --- seeds ------------------------------------------------------------------------------------------------------------


def numbers(*values: int) -> bytes:
    return b"".join(struct.pack("<Q", value & (1 << 64) - 1) for value in values)


def program(*command: object, both: bool = False) -> bytes:
    told = subprocess.run([str(part) for part in command], capture_output=True, check=True)
    return told.stdout + (told.stderr if both else b"")


def made(*arguments: str) -> bytes:
    """What FFmpeg makes of a small drawn picture or clip; the last argument is the file's extension."""
    with tempfile.TemporaryDirectory(prefix="kinora-seed-") as folder:
        path = Path(folder) / f"seed.{arguments[-1]}"
        program("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=32x24:r=8:d=0.5", *arguments[:-1], path)
        return path.read_bytes()


def asked(*command: str, both: bool = False) -> bytes:
    """What a program says of a small clip with sound, tags and a chapter; `CLIP` stands for it."""
    with tempfile.TemporaryDirectory(prefix="kinora-seed-") as folder:
        clip, tags = Path(folder) / "clip.mkv", Path(folder) / "tags"
        tags.write_text(";FFMETADATA1\ntitle=a\\=b\n[CHAPTER]\nTIMEBASE=1/10\nSTART=1\nEND=4\ntitle=one\n")
        program(
            "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=32x24:r=8:d=0.5", "-f", "lavfi", "-i",
            "sine=d=0.5", "-i", tags, "-map_metadata", "2", "-c:v", "ffv1", "-color_primaries", "bt2020", clip,
        )  # fmt: skip
        return program(*[clip if part == "CLIP" else part for part in command], both=both)


def field(number: int, content: bytes | int) -> bytes:
    """A field of a protocol buffer."""

    def varint(value: int) -> bytes:
        out = b""
        while value > 127:
            out, value = out + bytes([value & 127 | 128]), value >> 7
        return out + bytes([value])

    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def onnx_models() -> Iterator[bytes]:
    def value(name: bytes, *sides: bytes | int) -> bytes:
        shape = b"".join(field(1, field(1 if isinstance(side, int) else 2, side)) for side in sides)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    inside = field(11, value(b"x", b"n", 3, b"h", b"w")) + field(12, value(b"y", 1, 3, 8, 8))
    weight = field(1, 2) + field(1, 2) + field(2, 1) + field(8, b"w") + field(9, bytes(16))
    packed = field(1, b"\x02\x02") + field(2, 1) + field(8, b"v") + field(4, bytes(16))
    place = [(b"location", b"w.bin"), (b"offset", b"4"), (b"length", b"16")]
    outside = field(1, 4) + field(2, 1) + field(8, b"u") + field(14, 1)
    outside += b"".join(field(13, field(1, key) + field(2, text)) for key, text in place)
    node = field(1, b"x") + field(2, b"y") + field(4, b"Relu")
    branch = field(4, b"If") + field(5, field(1, b"then_branch") + field(6, field(1, node)))
    function = field(1, b"f") + field(7, node) + field(10, b"own")
    head = field(1, 8) + field(8, field(1, b"") + field(2, 17))
    yield head + field(7, field(1, node) + field(5, weight) + inside)
    yield head + field(7, field(1, branch) + field(5, packed) + inside)
    yield head + field(25, function) + field(7, field(1, node + field(7, b"own")) + inside)
    yield head + field(7, field(5, outside) + inside)


def ncnn_layers() -> str:
    """A graph of small layers without weights, one of every kind."""
    chain = [
        ("Interp", "0=2 1=2.0 2=2.0"), ("Interp", "0=1 3=16 4=16"), ("PixelShuffle", "0=1"), ("Pooling", "0=1 1=2 2=2"),
        ("Pooling", "0=0 4=1"), ("Crop", "0=1 1=1 2=0 3=-233 4=-233 5=-233"), ("Crop", "-23309=1,0 -23310=1,2 -23311=1,1"),
        ("BinaryOp", "0=2 1=1 2=0.5"), ("Swish", ""), ("Sigmoid", ""), ("ReLU", "0=0.1"), ("Clip", "0=0 1=1"),
        ("TanH", ""), ("Mish", ""), ("HardSwish", "0=0.2 1=0.5"),
    ]  # fmt: skip
    lines = ["Input in 0 1 b0 0=8 1=8 2=4", "Split s 1 2 b0 a b"]
    lines += ["Eltwise e 2 1 a b c 0=1 -23301=2,1.0,0.5", "Concat j 2 1 c a b1 0=0"]
    lines += [f"{kind} l{i} 1 1 b{i} b{i + 1} {rest}" for i, (kind, rest) in enumerate(chain, 1)]
    return f"7767517\n{len(lines)} {len(lines) + 4}\n" + "\n".join(lines) + "\n"


def ncnn_pairs() -> Iterator[tuple[bytes, bytes]]:
    yield ncnn_layers().encode(), b""
    for layer in (
        "Convolution c 1 1 in out 0=2 1=1 4=-233 5=1 6=2 9=1", "ConvolutionDepthWise c 1 1 in out 0=2 1=1 6=2 7=2",
        "Deconvolution c 1 1 in out 0=2 1=2 3=2 6=8", "InnerProduct c 1 1 in out 0=2 2=2", "PReLU c 1 1 in out 0=1",
        "Scale c 1 1 in out 0=1 1=1",
    ):  # fmt: skip
        yield f"7767517\n2 2\nInput i 0 1 in 2=1\n{layer}\n".encode(), bytes(4) + struct.pack("<16f", *range(16))
    for param in sorted(CRATES.glob("models/tests/data/ncnn/*/*.param")):
        yield param.read_bytes(), param.with_suffix(".bin").read_bytes()


def safetensors_file(header: object, body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def safetensors_files() -> Iterator[bytes]:
    tensor = {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]}
    yield safetensors_file({"a": tensor}, bytes(8))
    yield safetensors_file({"__metadata__": {"xxh3": "0" * 32}, "a": tensor, "b": tensor}, bytes(16))
    yield safetensors_file({"a": {**tensor, "dtype": "F16", "shape": []}}, bytes(8))
    for path in sorted(CRATES.glob("models/tests/data/**/*.safetensors"), key=lambda path: path.stat().st_size)[:3]:
        yield path.read_bytes()


def archive(*members: tuple[str, bytes, int]) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content, method in members:
            file.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def catalogue() -> dict:
    return json.loads((CRATES / "models/src/zoo/catalogue.json").read_text(encoding="utf-8"))


def small_catalogue() -> bytes:
    whole = catalogue()
    models = [whole["models"][0], whole["models"][-1]]
    used = {resource["package"] for model in models for resource in model["resources"]}
    return json.dumps({"packages": {name: whole["packages"][name] for name in used}, "models": models}).encode()


FRAMECRC = ("ffmpeg", "-v", "error", "-i", "CLIP", "-map", "0", "-c", "copy", "-f", "framecrc", "-")
SHOWINFO = ("ffmpeg", "-hide_banner", "-i", "CLIP", "-map", "0:v", "-vf", "showinfo", "-f", "framecrc", "-")
FFPROBE = ("ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_chapters", "-show_frames")
CUBE = b'TITLE "t"\nLUT_3D_SIZE 2\nDOMAIN_MIN 0 0 0\n' + b"0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n"
COLORS = ["bt709", "bt2020", "smpte2084", "arib-std-b67", "gbr", "bt2020nc", "bt470bg", "jedec-p22", "topleft", "left"]
FORMATS = ["yuv420p", "yuv422p10le", "yuva444p12le", "gray16le", "gbrap16le", "rgb24", "rgba64le", "rgb48"]
VALUES = ["90s", "0:01:30.5", "300ms", "123f", "1.5x", "1920x1080", "auto", "4", "4GiB", "1.5M", "900k", "k=a=b"]
NAMES = ["4x_NMKD-Siax_200k.pth", "x1_some_130k_net_g", "BSRGANx2", "1xFix_180000_G", "models-se/up2x", "span"]
PATHS = b"a111:\n  base_path: /usr\n  loras: |\n    lib\n    share\ncomfy: &c\n  is_default: true\n  vae: [/usr, /]\nb: *c\n"

SUM = b',"c":"0000000000000000"}\n'
MANIFEST = (
    b'{"v":1,"kind":"job","identity":"a","parts":{"n":1.5},"plan":{},"settings":[],"version":"0","created":"x"' + SUM
    + b'{"v":1,"kind":"segment","index":0,"span":[0,9],"frames":9,"duplicates":1,"times":{"first":0,"last":8,"base":[1,25]},'
    b'"file":"s","bytes":9,"blake3":"b","state":["s","b"],"made":null' + SUM
    + b'{"v":1,"kind":"end","segments":1,"shortfall":null' + SUM
    + b'{"v":1,"kind":"done","name":"o","bytes":9,"blake3":"b","frames":9' + SUM
)  # fmt: skip

SEEDS: dict[str, Callable[[], object]] = {
    "rational": lambda: [b"24000/1001", b"-3:4", b"9223372036854775807/9223372036854775806"],
    "times": lambda: [numbers(7, 1, 24000, -5, 1001, 90000, 3, 1, 1), numbers(1 << 62, 1 << 61, 3, -9, 1, 7, 0, 5, 1)],
    "cube": lambda: [CUBE, b"LUT_1D_SIZE 3\nLUT_1D_INPUT_RANGE -1 2\n0 0 0\n.5 .5 .5\n1 1 1\n"],
    "pixel_format": lambda: [name.encode() for name in FORMATS],
    "nut": lambda: [
        made("-c:v", "rawvideo", "-pix_fmt", "gray", "-frames:v", "2", "nut"),
        made("-c:v", "ffv1", "-frames:v", "4", "nut"),
    ],
    "nut_round_trip": lambda: [numbers(0x1_0000_0002, 1, 25, 0, 2, 4), numbers(0x20_0000_0010, 1001, 24000, 7, 1 << 63)],
    "ffprobe_json": lambda: [asked(*FFPROBE, "CLIP")],
    "ffmpeg_log": lambda: [asked(*SHOWINFO, both=True), asked(*FRAMECRC)],
    "ffmetadata": lambda: [asked("ffmpeg", "-v", "error", "-i", "CLIP", "-f", "ffmetadata", "-")],
    "packet_index": lambda: [asked(*FRAMECRC), b"#tb 0: 1/25\n0, 0, NOPTS, 1, 9, 0x1, F=0x5\n0, -1, 2, 1, 9, 0x1\n"],
    "color_tags": lambda: [name.encode() for name in COLORS],
    "file_names": lambda: [b"pic%04d.png\na10\na2", b"a02\na2\n\xc3\xa9 1", b"x%d.tif\n\xff\xfe\n007"],
    "still": lambda: [
        made("-frames:v", "1", "png"),
        made("-frames:v", "1", "-pix_fmt", "rgba64be", "png"),
        made("-frames:v", "1", "jpg"),
        made("-frames:v", "1", "tiff"),
        made("-frames:v", "1", "-lossless", "1", "-c:v", "libwebp", "webp"),
        made("-frames:v", "3", "-c:v", "libwebp_anim", "webp"),
        made("-frames:v", "2", "-f", "apng", "png"),
    ],
    "safetensors": safetensors_files,
    "weight_cache": lambda: [b"\x02\x01\x03\x00\x05conv\nbias", b"\x01\x04\x04\"\\\xc3\xa9"],
    "ncnn_param": lambda: [text for text, _ in ncnn_pairs()],
    "ncnn": lambda: [text + b"\0" + weights for text, weights in ncnn_pairs() if len(weights) < 1 << 16],
    "onnx": onnx_models,
    "catalogue": lambda: [small_catalogue()],
    "model_record": lambda: [json.dumps(model).encode() for model in catalogue()["models"][::20]],
    "extra_paths": lambda: [PATHS],
    "model_names": lambda: [name.encode() for name in NAMES],
    "package_zip": lambda: [
        archive(("m", b"good", zipfile.ZIP_STORED), ("../n", b"evil", zipfile.ZIP_DEFLATED)),
        archive(("m", b"good" * 50, zipfile.ZIP_DEFLATED)),
        archive(("m", b"good", zipfile.ZIP_DEFLATED)),
    ],
    "params": lambda: [b'{"number": 1.5, "integer": 3, "switch": true, "choice": "two", "text": "x", "model": null}'],
    "manifest": lambda: [MANIFEST, MANIFEST[:-30]],
    "block": lambda: [b"0/1", b"3/4", b"17/9999"],
    "cli_values": lambda: [value.encode() for value in VALUES],
}


EXTREMES = ["-233", "-234", "9223372036854775807", "-9223372036854775808", "9223372036854.775807", "0/1", "-1", "1e38"]
KINDS = ["Convolution", "Deconvolution", "InnerProduct", "MemoryData", "Interp", "Concat", "Crop", "Pooling", "PReLU"]
# Words that a target's inputs are made of, besides those that its seeds have; extreme numbers where none are named.
WORDS: dict[str, list[str]] = {
    "ncnn": [*KINDS, *EXTREMES, *(f" {key}=" for key in [*range(20), -23301, -23309, -23310, -23311])],
    "ffprobe_json": [*EXTREMES, "side_data_list", "rotation", "Mastering display metadata", "best_effort_timestamp"],
    "ffmpeg_log": [*EXTREMES, "SAR ", "displaymatrix: rotation of ", "MaxCLL=", "has_primaries:1 has_luminance:1", " r("],
    "packet_index": [*EXTREMES, "NOPTS", "F=0x"],
    "ffmetadata": [*EXTREMES, "[STREAM]", "\\"],
    "cube": [*EXTREMES, "LUT_1D_SIZE", "DOMAIN_MAX", "LUT_3D_INPUT_RANGE"],
}


def write_seeds(target: str) -> tuple[Path, Path]:
    """The folder of a target's seeds and its file of words, made anew."""
    folder, words = FUZZ / "seeds" / target, FUZZ / "seeds" / f"{target}.words"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for at, seed in enumerate(SEEDS[target]()):
        (folder / f"{at:02}").write_bytes(seed)
    words.write_text("".join(f"{json.dumps(word)}\n" for word in WORDS.get(target, EXTREMES)))
    return folder, words


# --- a run ------------------------------------------------------------------------------------------------------------


def fuzz(target: str, seconds: int) -> tuple[bool, str]:
    """Whether a target held, and the line that says so."""
    (seeds, words), corpus = write_seeds(target), FUZZ / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    command = [*CARGO_FUZZ, "run", *PLAIN, target, str(corpus), str(seeds), "--"]
    command += [f"-max_total_time={seconds}", f"-dict={words}", "-print_final_stats=1", *LIMITS]
    # Readers that take a path get every input as a file: in memory, where the system has such a place.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kinora-fuzz-", dir=memory) as folder:
        environment = {**os.environ, "TMPDIR": folder}
        told = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    said = (told.stdout + told.stderr).decode(errors="replace")
    if told.returncode == 0:
        count = re.search(r"number_of_executed_units: (\d+)", said)
        edges = re.findall(r"cov: (\d+)", said)
        return True, f"{target:16} held   {int(count[1]) if count else 0:>11,} inputs, {edges[-1] if edges else '?'} edges"
    found = re.search(r"Test unit written to (\S+)", said)
    if found is None:
        print(said[-4000:], file=sys.stderr)
        return False, f"{target:16} FAULT  it does not run"
    first = re.search(r"panicked at .*\n.*|ERROR: libFuzzer: .*", said)
    print(f"\n{target}: {first[0] if first else 'stopped'}\n", file=sys.stderr)
    path = Path(found[1]).resolve()
    path = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return False, f"{target:16} FAULT  {path}\n  repeat: cargo fuzz run -s none {target} {path}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="one of those in fuzz/Cargo.toml; all by default")
    parser.add_argument("--seconds", type=int, default=30, help="how long each runs")
    options = parser.parse_args()
    unknown = [target for target in options.targets if target not in targets()]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}; there are {', '.join(targets())}")
    chosen = options.targets or targets()
    build = [*CARGO_FUZZ, "build", *PLAIN, *(chosen if len(chosen) == 1 else [])]
    if subprocess.run(build, cwd=ROOT, check=False).returncode != 0:
        return 1
    results = []
    for target in chosen:
        print(f"fuzz: {target}, {options.seconds} s", file=sys.stderr, flush=True)
        results.append(fuzz(target, options.seconds))
    print("\n".join(line for _, line in results))
    return 0 if all(held for held, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())

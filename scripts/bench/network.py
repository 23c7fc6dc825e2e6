"""One network alone: a frame of 320x180 through SRVGG 64x16 x4, process CPU-seconds and wall time of a run.

Our call of the runtime beside the same runtime called from Python on the very same graph (the one that kinora built
and wrote out), ONNX Runtime on the network as PyTorch exports it, and PyTorch. bf16 where the processor has it, with
its largest difference from f32 on a real picture's values.
"""

from __future__ import annotations

import array
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from measure import QUIET_SHARE, Command, run
from setup import NETWORK, PROGRAMS, ROOT, Absent, Setup
from show import Bar, bars, heading, ratio, table

WIDTH, HEIGHT, RUNS = 320, 180, 10
KINORA, SAME, EXPORTED = "kinora f32", "Python, same graph", "Python, exported graph"
TORCH, OPENVINO, BF16 = "PyTorch channels-last f32", "kinora OpenVINO f32", "kinora OpenVINO bf16"


@dataclass
class Figures:
    """Seconds of the best run."""

    cpu: float
    wall: float


def say(words: list[object], env: dict[str, str] | None = None) -> str:
    """What a program prints, run on an idle machine."""
    done = run(Command(list(map(str, words)), env=env))
    if not done.ok:
        raise Absent(f"{words[0]}: exit {done.code}: {done.said[-200:]}")
    if done.others > QUIET_SHARE:
        print(f"    others took {100 * done.others:.0f} % of the machine", file=sys.stderr)
    return done.printed


def network_run(
    setup: Setup,
    weights: Path,
    size: tuple[int, int],
    library: str,
    device: str,
    precision: str,
    runs: int,
    dump: Path | None = None,
) -> Figures:
    """Runs an ncnn network (`.bin`, its `.param` beside it) through kinora's own call of the runtime."""
    example = Path(os.environ.get("KINORA_BENCH_MODEL", ROOT / "target/ci/examples/bench_image_model"))
    if not example.exists():
        build = "cargo build --profile ci -p kinora-models --example bench_image_model"
        raise Absent(f"{example} is not built: {build}")
    folder = setup.models / "runtime" / library
    if not list(folder.glob("libonnxruntime.so.*")):
        setup.pull(library)
    (setup.out / "network").mkdir(parents=True, exist_ok=True)
    env = {"ORT_DYLIB_PATH": str(next(folder.glob("libonnxruntime.so.*"))), "TMPDIR": str(setup.out / "network")}
    words = [example, weights.with_suffix(".param"), weights, *size, device, precision, runs, setup.threads]
    said = say([*words, *([dump] if dump else [])], env)
    figures = re.search(r"cpu min ([\d.]+) ms .* wall min ([\d.]+) ms", said)
    if f"{device} {precision}" not in said or not figures:
        raise Absent(f"asked for {device} {precision}, the program said: {said}")
    return Figures(float(figures[1]) / 1e3, float(figures[2]) / 1e3)


class Programs:
    """One program a row; each call gives the best CPU and wall seconds of its runs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.folder = setup.out / "network"
        self.calls = {}
        self.least: dict[str, list[Figures]] = {}

    def add_kinora(self, name: str, library: str, device: str, precision: str, dump: bool) -> None:
        def call() -> Figures:
            return network_run(
                self.setup,
                self.setup.weights(),
                (WIDTH, HEIGHT),
                library,
                device,
                precision,
                RUNS,
                self.folder / "dump" if dump else None,
            )

        call()
        self.calls[name] = call

    def same_graph(self) -> Path:
        """The graph that kinora built, beside the weights that it points to."""
        graph = next((self.folder / "dump").glob("*.cpu.onnx"))
        for weights in self.folder.rglob("*.safetensors"):
            if weights.name.encode() in graph.read_bytes():
                return Path(shutil.copy(graph, weights.with_name(graph.name)))
        raise Absent(f"the weights of {graph} are not in {self.folder}")

    def add_python(self, name: str, module: str, words: list[object]) -> None:
        start = [self.setup.python(module), *words]

        def call() -> Figures:
            lines = [tuple(map(float, line.split())) for line in say(start).splitlines()]
            return Figures(min(cpu for cpu, _ in lines), min(wall for _, wall in lines))

        call()
        self.calls[name] = call

    def measure(self) -> None:
        for number in range(1, self.setup.rounds + 1):
            for name, call in self.calls.items():
                one = call()
                self.least.setdefault(name, []).append(one)
                figures = f"{one.cpu:.4f} s CPU {one.wall:.4f} s wall  load {os.getloadavg()[0]:.2f}"
                print(f"  round {number}  {name:<26} {figures}", file=sys.stderr, flush=True)

    def cpu(self, name: str) -> float | None:
        """Median over the rounds of the best run of each."""
        return statistics.median(one.cpu for one in self.least[name]) if name in self.least else None

    def wall(self, name: str) -> float | None:
        return min(one.wall for one in self.least[name]) if name in self.least else None


def picture(setup: Setup) -> Path:
    """One frame of the reference clip as a safetensors file: f32, 1x3x180x320, 0..1."""
    target = setup.out / "frame.safetensors"
    words = ["ffmpeg", "-nostdin", "-v", "error", "-ss", "1", "-i", str(setup.reference_clip(5)), "-frames:v", "1"]
    raw = subprocess.run([*words, "-f", "rawvideo", "-pix_fmt", "gbrp", "-"], capture_output=True, check=True).stdout
    plane = WIDTH * HEIGHT
    green, blue, red = (raw[at * plane : (at + 1) * plane] for at in range(3))
    values = array.array("f", (value / 255 for value in red + green + blue))
    about = {"x": {"dtype": "F32", "shape": [1, 3, HEIGHT, WIDTH], "data_offsets": [0, 4 * len(values)]}}
    head = json.dumps(about).encode()
    head += b" " * (-len(head) % 8)
    target.write_bytes(struct.pack("<Q", len(head)) + head + values.tobytes())
    return target


def largest_error(setup: Setup) -> tuple[float, float]:
    """Largest and root-mean-square difference of bf16 from f32, in values of a 0..1 picture."""
    results = []
    for device, precision in (("cpu", "f32"), ("openvino", "bf16")):
        target = setup.out / f"frame-{precision}.safetensors"
        words = ["infer", "-m", NETWORK, "-i", picture(setup), "-o", target, "--device", device]
        command = setup.command(*words, "--precision", precision, "--overwrite")
        env = {**os.environ, **(command.env or {})}
        done = subprocess.run(command.args, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Absent(f"kinora infer on {device}: {done.stderr.strip()[-300:]}")
        data = target.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        offsets = json.loads(data[8 : 8 + length])["y"]["data_offsets"]
        results.append(array.array("f", data[8 + length + offsets[0] : 8 + length + offsets[1]]))
    differences = [a - b for a, b in zip(*results, strict=True)]
    return max(map(abs, differences)), (sum(d * d for d in differences) / len(differences)) ** 0.5


def main(setup: Setup) -> None:
    heading(
        "Network alone",
        f"SRVGG 64x16 x4 on {WIDTH}x{HEIGHT}, {setup.threads} threads, the best of {RUNS} runs, "
        f"{setup.rounds} alternating rounds; spinning off",
        setup.kinora,
    )
    programs, size = Programs(setup), [HEIGHT, WIDTH, setup.threads, RUNS]
    ort, torch = PROGRAMS / "network_ort.py", PROGRAMS / "srvgg_torch.py"
    for add in (
        lambda: programs.add_kinora(KINORA, "onnxruntime", "cpu", "f32", dump=True),
        lambda: programs.add_python(SAME, "onnxruntime", [ort, programs.same_graph(), *size]),
        lambda: programs.add_python(EXPORTED, "onnxruntime", [ort, setup.onnx(), *size]),
        lambda: programs.add_python(TORCH, "torch", [torch, "speed", setup.weights(), *size]),
        lambda: programs.add_kinora(OPENVINO, "onnxruntime-openvino", "openvino", "f32", dump=False),
        lambda: programs.add_kinora(BF16, "onnxruntime-openvino", "openvino", "bf16", dump=False),
    ):
        try:
            add()
        except (Absent, StopIteration) as absent:
            print(f"left out: {absent}")
    programs.measure()
    cpu, wall = programs.cpu, programs.wall
    table(["program", "CPU-s a frame", "wall s best"], [[name, cpu(name), wall(name)] for name in programs.calls])
    found = [
        Bar("CPU-seconds, kinora f32 / same runtime and graph from Python", ratio(cpu(KINORA), cpu(SAME)), 1.05),
        Bar("CPU-seconds, kinora f32 / PyTorch channels-last f32", ratio(cpu(KINORA), cpu(TORCH)), 1.0),
        Bar("speed, bf16 / f32 on the same device", ratio(cpu(OPENVINO), cpu(BF16)), 1.8, least=True),
        Bar("speed, bf16 / f32 on the cpu device", ratio(cpu(KINORA), cpu(BF16)), 1.8, least=True),
    ]
    bars(found, setup.out / "network.bars.json")
    try:
        largest, mean = largest_error(setup)
        print(f"  bf16 differs from f32 by at most {largest:.2g}, {mean:.2g} root mean square, of a 0..1 picture\n")
    except (Absent, OSError, KeyError) as absent:
        print(f"  largest difference of bf16 not measured: {absent}\n")

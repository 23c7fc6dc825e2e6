"""The reference job: 320x180 at 24 frames a second, H.264 with AAC, to 1280x720 by SRVGG 64x16 x4, x264 veryfast crf 20.

All programs compute with the weights of one file; `KINORA_BENCH_SECONDS` is the clip's length (5). What counts are the CPU-seconds and the memory of all processes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from measure import Command, Run, alternate, cpu, good, peak, wall
from setup import NETWORK, PROGRAMS, Absent, Setup
from show import Bar, bars, heading, ratio, table

SECONDS = int(os.environ.get("KINORA_BENCH_SECONDS", "5"))
GLUE, SPIN = "least glue, not spinning", "least glue, default spinning"
NCNN, ONNX = "kinora, ncnn weights", "kinora, the ONNX file"
F32, BF16 = "kinora, OpenVINO f32", "kinora, OpenVINO bf16"
VAPOUR, TORCH, OPENVINO = "vapoursynth, ONNX Runtime", "framelift, PyTorch", "framelift, OpenVINO"


def kinora(setup: Setup, clip: Path, commands: dict[str, Command]) -> None:
    """Our own rows."""
    rows = {NCNN: [NETWORK, "--device", "cpu"], ONNX: [setup.onnx(), "--device", "cpu"]}
    rows[F32] = [NETWORK, "--device", "openvino", "--precision", "f32"]
    rows[BF16] = [NETWORK, "--device", "openvino", "--precision", "bf16"]
    for name, model in rows.items():
        stem = name.replace(" ", "-").replace(",", "")
        words = [
            "upscale",
            "-i",
            clip,
            "-o",
            setup.out / f"{stem}.mp4",
            "--model",
            *model,
            "--scale",
            4,
            "--dedupe",
            "off",
        ]
        commands[name] = setup.command(*words, *setup.encoder(), "--report", setup.out / f"{stem}.json")


def glue(setup: Setup, clip: Path, commands: dict[str, Command]) -> None:
    """The least-glue program, twice."""
    python = setup.python("onnxruntime")
    for name, spin in ((GLUE, "nospin"), (SPIN, "spin")):
        words = [python, PROGRAMS / "least_glue.py", clip, setup.out / "glue.mp4", setup.onnx()]
        commands[name] = Command([*map(str, words), "320", "180", "4", str(setup.threads), spin])


def framelift(setup: Setup, clip: Path, commands: dict[str, Command]) -> None:
    """framelift-video, on PyTorch and on OpenVINO."""
    program = setup.peers / "venv/bin/framelift"
    if not program.exists():
        raise Absent("framelift-video is not installed: bash scripts/bench/setup_peers.sh")
    weights = setup.out / "framelift"
    if not (weights / "realesr-animevideov3.pth").exists():
        save = [setup.python("torch"), PROGRAMS / "srvgg_torch.py", "save", setup.weights()]
        subprocess.run([*map(str, save), str(weights / "realesr-animevideov3.pth")], check=True)
    for name, backend in ((TORCH, "torch"), (OPENVINO, "openvino")):
        words = [program, "-i", clip, "-o", setup.out / "framelift.mp4", "--scale", 4, "--ai-strength", 1, "--tile", 0]
        words += ["--device", "cpu", "--backend", backend, "--torch-threads", setup.threads, "--weights-dir", weights]
        words += ["--crf", 20, "--x264-preset", "veryfast", "-q"]
        commands[name] = Command(list(map(str, words)), env={"OMP_NUM_THREADS": str(setup.threads)})


def vapoursynth(setup: Setup, clip: Path, commands: dict[str, Command]) -> None:
    """VapourSynth with vs-mlrt's ONNX Runtime, through Y4M into FFmpeg."""
    script, root = PROGRAMS / "vapoursynth_ort.py", setup.peers / "trixie"
    place, start = setup.out, [str(setup.peers / "vs/bin/python")]
    if not Path(start[0]).exists():
        if not (root / "opt/vs/bin/python").exists():
            raise Absent("VapourSynth is not installed: bash scripts/bench/setup_peers.sh")
        (root / "bench").mkdir(exist_ok=True)
        for file in (clip, setup.onnx(), script):
            shutil.copy(file, root / "bench" / file.name)
        place, script = Path("/bench"), Path("/bench") / script.name
        start = ["chroot", str(root), "/opt/vs/bin/python"]
    env = {"BENCH_IN": f"{place}/{clip.name}", "BENCH_MODEL": f"{place}/{setup.onnx().name}"}
    env["BENCH_THREADS"] = str(setup.threads)
    encode = ["ffmpeg", "-v", "error", "-y", "-i", "-", "-i", clip, "-map", "0:v", "-map", "1:a", "-c:v", "libx264"]
    encode += ["-preset", "veryfast", "-crf", 20, "-pix_fmt", "yuv420p", "-threads", setup.threads, "-c:a", "copy"]
    line = f"{shlex.join([*start, str(script)])} | {shlex.join(map(str, [*encode, setup.out / 'vapoursynth.mp4']))}"
    commands[VAPOUR] = Command([line], env=env, shell=True)


def main(setup: Setup) -> None:
    heading(
        "Reference job",
        f"320x180 -> 1280x720, {24 * SECONDS} frames, SRVGG 64x16 x4, x264 veryfast crf 20, {setup.threads} threads, "
        f"{setup.rounds} alternating rounds",
        setup.kinora,
    )
    clip, commands = setup.reference_clip(SECONDS), {}
    for part in (glue, kinora, vapoursynth, framelift):
        try:
            part(setup, clip, commands)
        except Absent as absent:
            print(f"left out: {absent}")
    runs = alternate(commands, setup.rounds)
    frames = 24 * SECONDS
    rows = []
    for name, those in runs.items():
        most = max((one.others for one in those), default=0.0)
        said = f"{100 * most:.0f} %" if good(those) else f"failed: {those[-1].said[:60]}"
        floor = cpu(runs.get(GLUE, []))
        rows.append(
            [name, cpu(those), ratio(cpu(those), frames), ratio(cpu(those), floor), wall(those), peak(those), said]
        )
    table(["program", "CPU-s median", "a frame", "to least glue", "wall s best", "peak MiB", "others"], rows)

    def against(over: str, under: str, of=cpu) -> float | None:
        return ratio(of(runs.get(over, [])), of(runs.get(under, [])))

    found = [
        Bar("CPU-seconds, kinora ncnn weights / least glue", against(NCNN, GLUE), 1.0),
        Bar("CPU-seconds, kinora ONNX file / least glue", against(ONNX, GLUE), 1.0),
        Bar("peak memory, kinora ncnn weights / least glue", against(NCNN, GLUE, peak), 1.1),
        Bar("peak memory, kinora ONNX file / least glue", against(ONNX, GLUE, peak), 1.1),
    ]
    for peer in (VAPOUR, TORCH, OPENVINO):
        found.append(Bar(f"CPU-seconds, kinora f32 / {peer}", against(NCNN, peer), 1.0))
        found.append(Bar(f"CPU-seconds, kinora OpenVINO f32 / {peer}", against(F32, peer), 1.0))
    for peer in (TORCH, OPENVINO):
        found.append(Bar(f"peak memory, kinora f32 / {peer}", against(NCNN, peer, peak), 0.5))
    for peer in (VAPOUR, TORCH, OPENVINO):
        found.append(Bar(f"CPU-seconds, kinora bf16 / {peer}", against(BF16, peer), 0.55))
    bars(found, setup.out / "reference.bars.json")
    show_lanes(setup, runs)


def show_lanes(setup: Setup, runs: dict[str, list[Run]]) -> None:
    """Where kinora's time went, from its own report."""
    for name in (NCNN, ONNX, F32, BF16):
        report = setup.report(setup.out / f"{name.replace(' ', '-').replace(',', '')}.json")
        if not good(runs.get(name, [])) or not report:
            continue
        lanes = "  ".join(f"{lane['name']} {lane['seconds']:.1f} s" for lane in report["lanes"])
        steps = "  ".join(f"{step['name']} {step['p50_ms']:.2f} ms" for step in report["steps"])
        print(f"  {name}: {lanes}\n    a frame: {steps}")

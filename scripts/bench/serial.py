"""One process, frames in memory, beside the serial flow of PNG files: extract all, work on all, encode all.

The serial flow does its steps one after another, as programs that put files between them do. The step in the middle
is kinora's own, on the pictures, so that both flows do the same work.
"""

from __future__ import annotations

import shlex

from measure import Command, alternate, cpu, good, wall
from setup import Absent, Setup
from show import Bar, bars, heading, ratio, table

FRAMES, NETWORK_FRAMES, STUB_MS = 300, 60, 20
LENGTHS = {"no repeats": 25.0, "40 % repeats": 15.0, "70 % repeats": 7.5}


def flows(setup: Setup, what: str, pipeline: list[str], size: str, frames_wanted: int) -> dict[str, Command]:
    """The two programs of one comparison."""
    clip = setup.made(
        f"serial-{size}-{frames_wanted}.mp4",
        *("-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25,format=yuv420p", "-frames:v", frames_wanted),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", 20),
    )
    frames, done = setup.out / "serial-in", setup.out / "serial-out"
    encode = f"-c:v libx264 -preset veryfast -crf 20 -pix_fmt yuv420p -threads {setup.threads}"
    own = setup.command(*pipeline, "-i", clip, "-o", setup.out / "serial.mp4", *setup.encoder(), "--dedupe", "off")
    pictures = setup.command(*pipeline, "-i", frames, "-o", done, "--overwrite", "--dedupe", "off")
    steps = [
        f"rm -rf {frames} {done} && mkdir -p {frames}",
        f"ffmpeg -nostdin -v error -i {clip} {frames}/%06d.png",
        shlex.join(pictures.args),
        f"ffmpeg -nostdin -v error -y -framerate 25 -i {done}/%06d.png {encode} {setup.out}/serial-png.mp4",
    ]
    return {
        f"{what}: serial, PNG files": Command([" && ".join(steps)], env=pictures.env, shell=True),
        f"{what}: kinora": own,
    }


def overlap(setup: Setup) -> list[Bar]:
    """kinora beside the serial flow."""
    stub = ["run", "-p", "device_stub", "--set", f"device_stub.ms={STUB_MS}", "--set", "device_stub.scale=1"]
    lanczos = ["run", "-p", "resize", "--set", "resize.scale=2"]
    cases = {f"{STUB_MS} ms device": (stub, "1280x720", FRAMES, 1.4), "Lanczos x2": (lanczos, "640x360", FRAMES, 1.4)}
    try:
        setup.pull("realesr-animevideov3-x2")
        net = ["upscale", "-m", "realesr-animevideov3-x2", "--device", "cpu"]
        cases["network on the CPU"] = (net, "320x180", NETWORK_FRAMES, None)
    except Absent as absent:
        print(f"the network is left out: {absent}")
    commands: dict[str, Command] = {}
    for what, (pipeline, size, frames, _) in cases.items():
        commands |= flows(setup, what, [str(word) for word in pipeline], size, frames)
    runs = alternate(commands, setup.rounds)
    table(["program", "wall s best", "CPU-s median"], [[name, wall(those), cpu(those)] for name, those in runs.items()])
    return [
        Bar(
            f"wall, {what}: serial flow / kinora",
            ratio(wall(runs[f"{what}: serial, PNG files"]), wall(runs[f"{what}: kinora"])),
            limit,
            least=True,
        )
        for what, (*_, limit) in cases.items()
        if limit is not None
    ]


def duplicates(setup: Setup) -> list[Bar]:
    """Wall time where frames repeat: the network's share of it shrinks with them."""
    found, rows = [], []
    for what, unique in LENGTHS.items():
        clip = setup.made(
            f"repeats-{unique}.mkv",
            *("-f", "lavfi", "-i", f"testsrc2=size=640x360:rate={unique},format=yuv420p,fps=25"),
            *("-frames:v", FRAMES, "-c:v", "ffv1"),
        )
        report = setup.out / "repeats.json"
        words = ["run", "-p", "device_stub", "--set", f"device_stub.ms={STUB_MS}", "--set", "device_stub.scale=1"]
        words += ["-i", clip, "-o", setup.out / "repeats.mp4", "--batch", 1, "--report", report]
        runs = alternate({what: setup.command(*words, *setup.encoder())}, setup.rounds)[what]
        said = setup.report(report)
        if not good(runs) or not said:
            found.append(Bar(f"wall / model, {what}", None, 1.12))
            continue
        computed = said["frames_out"] - said["duplicates"]
        # Section "Performance": the slowest stage, what fills the line before it, what is left after it.
        slowest = max(computed * STUB_MS / 1000, *[lane["seconds"] for lane in said["lanes"] if lane["name"] == "decode"])
        start = min(one.wall for one in good(runs)) - said["seconds"]
        rows.append([what, FRAMES, said["duplicates"], slowest, said["seconds"], wall(runs), start])
        found.append(Bar(f"engine's wall / model, {what}", ratio(said["seconds"], slowest), 1.12))
    table(["clip", "frames", "repeats", "model s", "engine s", "command s", "start and join s"], rows)
    return found


def main(setup: Setup) -> None:
    heading(
        "The serial flow, and frames that repeat",
        f"{FRAMES} frames, x264 veryfast crf 20, {setup.threads} threads, {setup.rounds} alternating rounds",
        setup.kinora,
    )
    bars(overlap(setup) + duplicates(setup), setup.out / "serial.bars.json")


if __name__ == "__main__":
    raise SystemExit("python3 scripts/bench/bench.py serial")

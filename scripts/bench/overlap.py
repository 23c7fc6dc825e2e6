"""Do the lanes overlap? Wall time beside what the slowest of them, or the machine, needs at least.

Of a real job: max(the slowest lane alone, all CPU-seconds / cores). Decoding and encoding alone are FFmpeg by itself,
reading the same clip to nothing and encoding the same pictures from a file of raw frames; the network alone is the
same network in a loop, its best run times the frames.
With a device that only waits (20 ms a frame, one frame at a time) in place of the network: the time of its lane, which
waits for nothing else. What a busy machine adds to each sleep is in it; the nominal waits are printed too.
"""

from __future__ import annotations

import os
import subprocess

from measure import Command, alternate, cpu, good, run, wall
from network import network_run
from setup import Absent, Setup
from show import Bar, bars, heading, ratio, table

CLIP, MODEL = "clip-carphone", "span-x2"
STUB_MS, STUB_FRAMES = 20, 1000


def alone(setup: Setup, clip: str, result: str) -> tuple[float, float]:
    """Wall seconds of decoding the clip, and of encoding the result's pictures, by FFmpeg alone."""
    raw = setup.out / "raw.yuv"
    start = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
    shape = (
        subprocess.run(
            [
                "ffprobe",
                "-v",
                "error",
                "-select_streams",
                "v",
                "-show_entries",
                "stream=width,height",
                "-of",
                "csv=p=0:s=x",
            ]
            + [result],
            capture_output=True,
            text=True,
            check=True,
        )
        .stdout.strip()
        .rstrip("x")
    )
    subprocess.run([*start, "-i", result, "-pix_fmt", "yuv420p", "-f", "rawvideo", str(raw)], check=True)
    decode = run(Command([*start, "-i", clip, "-f", "null", "-"]))
    encode = run(
        Command(
            [
                *start,
                "-f",
                "rawvideo",
                "-pix_fmt",
                "yuv420p",
                "-s",
                shape,
                "-i",
                str(raw),
                "-c:v",
                "libx264",
                "-preset",
                "veryfast",
                "-crf",
                "20",
                "-threads",
                str(setup.threads),
                f"{raw}.mp4",
            ]
        )
    )
    raw.unlink()
    return decode.wall, encode.wall


def network_alone(setup: Setup, clip: str) -> float | None:
    """Seconds that the network alone needs for the clip's frames, or None where its program is not built."""
    asked = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=width,height,nb_frames"]
    said = subprocess.run([*asked, "-of", "csv=p=0", clip], capture_output=True, text=True, check=True).stdout
    width, height, frames = map(int, said.strip().strip(",").split(","))
    weights = next((setup.models / "upscale" / MODEL).glob("*.bin"))
    try:
        found = network_run(setup, weights, (width, height), "onnxruntime", "cpu", "f32", runs=20)
    except Absent as absent:
        print(f"the network alone is left out: {absent}")
        return None
    return found.wall * frames


def real(setup: Setup) -> Bar:
    """The real clip with a real network."""
    name = "wall / max(slowest lane alone, CPU-seconds / cores), real clip"
    setup.pull(CLIP, MODEL)
    clip = next((setup.models / "clip" / CLIP).glob("*.mp4"))
    result, report = setup.out / "overlap.mp4", setup.out / "overlap.json"
    words = ["upscale", "-i", clip, "-o", result, "--model", MODEL, "--scale", 2, "--device", "cpu", "--dedupe", "off"]
    runs = alternate({CLIP: setup.command(*words, *setup.encoder(), "--report", report)}, setup.rounds)[CLIP]
    if not good(runs):
        return Bar(name, None, 1.10)
    decode, encode = alone(setup, str(clip), str(result))
    best = min(good(runs), key=lambda one: one.wall)
    cores = os.cpu_count() or 1
    network = network_alone(setup, str(clip))
    least = max(decode, encode, network or 0.0, best.cpu / cores)
    lanes = setup.report(report)["lanes"]
    table(
        ["part", "seconds"],
        [
            ["decoding alone", decode],
            ["network alone", network],
            ["encoding alone", encode],
            [f"all CPU-seconds / {cores} cores", best.cpu / cores],
            ["wall", best.wall],
            *[[f"  report: {lane['name']}, {lane['threads']} thread(s)", lane["seconds"]] for lane in lanes],
        ],
    )
    return Bar(name, ratio(best.wall, least), 1.10)


def stub(setup: Setup) -> Bar:
    """A device that waits."""
    name = f"wall / lane of the {STUB_MS} ms device"
    clip = setup.made(
        f"stub-{STUB_FRAMES}.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25,format=yuv420p", "-frames:v", STUB_FRAMES),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", 20),
    )
    report = setup.out / "stub.json"
    words = ["run", "-p", "device_stub", "--set", f"device_stub.ms={STUB_MS}", "--set", "device_stub.scale=1"]
    words += ["-i", clip, "-o", setup.out / "stub.mp4", "--batch", 1, "--dedupe", "off"]
    runs = alternate({"device stub": setup.command(*words, *setup.encoder(), "--report", report)}, setup.rounds)
    runs = runs["device stub"]
    waits = STUB_FRAMES * STUB_MS / 1000
    if not good(runs):
        return Bar(name, None, 1.05)
    best = wall(runs)
    lane = next(lane["seconds"] for lane in setup.report(report)["lanes"] if lane["name"] == "network")
    table(
        ["part", "seconds"],
        [[f"{STUB_FRAMES} waits of {STUB_MS} ms", waits], ["the device's lane", lane]]
        + [["wall", best], ["CPU-seconds", cpu(runs)]],
    )
    print(f"  wall / nominal waits: {best / waits:.3f}")
    return Bar(name, ratio(best, lane), 1.05)


def main(setup: Setup) -> None:
    heading(
        "Overlap of the lanes",
        f"{CLIP} x2 by {MODEL}; a {STUB_MS} ms device on {STUB_FRAMES} frames of 640x360; {setup.rounds} rounds, the best",
        setup.kinora,
    )
    found = []
    for part in (real, stub):
        try:
            found.append(part(setup))
        except (Absent, subprocess.CalledProcessError, StopIteration) as error:
            print(f"left out: {error}")
    bars(found, setup.out / "overlap.bars.json")

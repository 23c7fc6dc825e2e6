"""Decode, do nothing, encode: what the way of a frame costs, beside FFmpeg alone with the same encoder settings."""

from __future__ import annotations

from measure import Command, alternate, cpu, good, peak, wall
from setup import Setup
from show import Bar, bars, heading, ratio, table

FRAMES = 300


def main(setup: Setup) -> None:
    heading(
        "Decode, identity, encode",
        f"1920x1080, {FRAMES} frames, H.264 to x264 veryfast crf 20, {setup.threads} threads, "
        f"{setup.rounds} alternating rounds",
        setup.kinora,
    )
    encode = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p"]
    encode += ["-threads", str(setup.threads), "-movflags", "+faststart"]
    clips = {"test picture": setup.plain_clip(FRAMES), "film": setup.film_clip(FRAMES)}
    commands = {}
    for what, clip in clips.items():
        plain = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(clip), *encode, f"{setup.out}/plain.mp4"]
        report = setup.out / f"identity-{what.replace(' ', '-')}.json"
        words = ["run", "-p", "identity", "-i", clip, "-o", setup.out / "identity.mp4", "--dedupe", "off"]
        commands[f"{what}: ffmpeg alone"] = Command(plain)
        commands[f"{what}: kinora run, identity"] = setup.command(*words, *setup.encoder(), "--report", report)
        # One encoder, as FFmpeg alone has; a job in segments starts one every 240 frames and joins their files.
        one = setup.command(*words, *setup.encoder(), "--segments", "off")
        commands[f"{what}: kinora run, identity, one encoder"] = one
    runs = alternate(commands, setup.rounds)
    rows = []
    for name, those in runs.items():
        said = "" if good(those) else f"failed: {those[-1].said[:60]}"
        rows.append([name, cpu(those), ratio(cpu(those), FRAMES / 1000), wall(those), peak(those), said])
    table(["program", "CPU-s median", "ms a frame", "wall s best", "peak MiB", ""], rows)
    bars(
        [
            Bar(
                f"CPU-seconds, {what}{how}: kinora / ffmpeg alone",
                ratio(cpu(runs[f"{what}: kinora run, identity{how}"]), cpu(runs[f"{what}: ffmpeg alone"])),
                1.25,
            )
            for what in clips
            for how in ("", ", one encoder")
        ],
        setup.out / "identity.bars.json",
    )

"""Memory does not depend on a clip's length: a ten times longer one peaks within 5 %."""

from __future__ import annotations

from measure import alternate, cpu, peak, wall
from setup import NETWORK, Setup
from show import Bar, bars, heading, ratio, table

SHORT, TIMES = 3, 10


def main(setup: Setup) -> None:
    heading(
        "Memory and length",
        f"160x90 x4 by {NETWORK}, {SHORT} s and {SHORT * TIMES} s; 1080p identity, 60 and 600 frames; {setup.rounds} rounds",
        setup.kinora,
    )
    commands, pairs = {}, []
    for clips, words, what in (
        (
            [setup.reference_clip(SHORT * times, 160, 90) for times in (1, TIMES)],
            ["upscale", "--model", NETWORK, "--scale", 4, "--device", "cpu"],
            "upscale",
        ),
        ([setup.plain_clip(60 * times) for times in (1, TIMES)], ["run", "-p", "identity"], "identity"),
    ):
        names = [f"{what}, short clip", f"{what}, {TIMES} x longer"]
        pairs.append((what, *names))
        for name, clip in zip(names, clips):
            place = ["-i", clip, "-o", setup.out / "memory.mp4", "--dedupe", "off"]
            commands[name] = setup.command(*words, *place, *setup.encoder())
    runs = alternate(commands, setup.rounds)
    table(
        ["job", "peak MiB", "CPU-s", "wall s"],
        [[name, peak(those), cpu(those), wall(those)] for name, those in runs.items()],
    )
    bars(
        [
            Bar(f"peak, {what}: long / short", ratio(peak(runs[long]), peak(runs[short])), 1.05)
            for what, short, long in pairs
        ],
        setup.out / "memory.bars.json",
    )

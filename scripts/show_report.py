#!/usr/bin/env python3
"""Prints how long each part of a job took, from the file that `kinora upscale --report FILE` wrote.

A lane's work is that of kinora's own threads; FFmpeg decodes and encodes beside them, in processes of its own.
"""

import json
import sys
from pathlib import Path


def main(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    mode = report["dedupe"].partition("=")[0]
    print(
        f"{path.stem}: {report['frames_out']} frames in {report['seconds']:.1f} s, "
        f"{report['duplicates']} of them {'' if mode == 'off' else mode + ' '}duplicates; slowest: {report['bottleneck']}"
    )
    print(f"  {'lane':<10}{'threads':>8}{'work':>10}{'busy':>7}")
    for lane in report["lanes"]:
        print(f"  {lane['name']:<10}{lane['threads']:>8}{lane['seconds']:>8.2f} s{lane['utilisation']:>7.0%}")
    print(f"  {'step':<50}{'frames':>8}{'median':>12}")
    for step in report["steps"]:
        print(f"  {step['name']:<50}{step['frames']:>8}{step['p50_ms']:>9.2f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

#!/usr/bin/env python3
"""Prints how long each part of a job took, from the file that `kinora upscale --report FILE` wrote."""

import json
import sys
from pathlib import Path


def main(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    print(
        f"{path.stem}: {report['frames_out']} frames in {report['seconds']:.1f} s, "
        f"{report['duplicates']} of them exact duplicates; slowest: {report['bottleneck']}"
    )
    for lane in report["lanes"]:
        print(
            f"  {lane['name']:<10} {lane['seconds']:7.2f} s of work, {lane['threads']} thread(s), "
            f"{100 * lane['utilisation']:3.0f} % busy"
        )
    for step in report["steps"]:
        print(f"    {step['name']:<50} {step['frames']:5} frames, {step['p50_ms']:7.2f} ms each (median)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

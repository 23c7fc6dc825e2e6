"""Promises of fuzz.py: python3 -m unittest discover -s scripts"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import fuzz  # noqa: E402

CARGO = """#!/bin/sh
[ "$2" = build ] && exit 0
case "$*" in
  *rational*) echo 'Test unit written to fuzz/artifacts/rational/crash-1' >&2
    printf "thread panicked at rational.rs:1:\\nit broke\\n" >&2; exit 77 ;;
  *times*) echo 'cannot start' >&2; exit 101 ;;
esac
printf '#9 DONE cov: 12 ft: 3\\nstat::number_of_executed_units: 4567\\n' >&2
"""


class Fuzz(unittest.TestCase):
    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        with tempfile.TemporaryDirectory() as folder:
            cargo = Path(folder) / "cargo"
            cargo.write_text(CARGO)
            cargo.chmod(0o755)
            out, err = io.StringIO(), io.StringIO()
            patches = [
                mock.patch.object(fuzz, "CARGO_FUZZ", [str(cargo), "fuzz"]),
                mock.patch.object(fuzz, "FUZZ", Path(folder)),
                mock.patch.object(fuzz, "targets", lambda: ["rational", "times", "color_tags"]),
                mock.patch.object(sys, "argv", ["fuzz.py", *arguments]),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ]
            with contextlib.ExitStack() as stack:
                for patch in patches:
                    stack.enter_context(patch)
                return fuzz.main(), out.getvalue(), err.getvalue()

    def test_every_target_has_a_file_a_body_and_seeds(self) -> None:
        targets = fuzz.targets()
        self.assertEqual(sorted(targets), sorted(path.stem for path in (fuzz.FUZZ / "fuzz_targets").iterdir()))
        self.assertEqual(set(targets), set(fuzz.SEEDS))
        self.assertLessEqual(set(fuzz.WORDS), set(targets))
        for target in targets:
            text = (fuzz.FUZZ / "fuzz_targets" / f"{target}.rs").read_text(encoding="utf-8")
            if called := re.search(r"target!\(kinora_(\w+)::fuzz::(\w+)(, folder)?[,)]", text):
                crate, body, folder = called.groups()
                bodies = (fuzz.CRATES / crate / "src/fuzz.rs").read_text(encoding="utf-8")
                arguments = "bytes: &[u8], folder: &Path" if folder else "bytes: &[u8]"
                self.assertIn(f"pub fn {body}({arguments})", bodies)
                self.assertRegex(bodies.split("mod tests")[1], rf"\b{body}\(", "the tests call it too")

    def test_what_is_fuzzed_is_what_is_built(self) -> None:
        def locked(path: Path) -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for package in fuzz.tomllib.loads(path.read_text(encoding="utf-8"))["package"]:
                found.setdefault(package["name"], set()).add(package["version"])
            return found

        built = locked(fuzz.ROOT / "Cargo.lock")
        for name, versions in locked(fuzz.FUZZ / "Cargo.lock").items():
            self.assertLessEqual(
                versions,
                built.get(name, versions),
                f"{name}: cp Cargo.lock fuzz/ && cargo metadata --manifest-path fuzz/Cargo.toml >/dev/null",
            )

    def test_seeds_that_need_no_other_program_are_made(self) -> None:
        for target in ("ncnn", "onnx", "catalogue", "safetensors", "package_zip"):
            self.assertTrue(all(isinstance(seed, bytes) and seed for seed in fuzz.SEEDS[target]()), target)

    def test_a_target_that_holds_is_a_line(self) -> None:
        code, out, _ = self.run_main("color_tags", "--seconds", "1")
        self.assertEqual((code, out.split()), (0, ["color_tags", "held", "4,567", "inputs,", "12", "edges"]))

    def test_a_fault_says_where_its_input_is_and_the_others_run_all_the_same(self) -> None:
        code, out, err = self.run_main()
        self.assertEqual(code, 1)
        self.assertIn("cargo fuzz run -s none rational fuzz/artifacts/rational/crash-1", out)
        self.assertIn("it broke", err)
        self.assertRegex(out, "times +FAULT +it does not run")
        self.assertIn("cannot start", err)
        self.assertRegex(out, "color_tags +held")

    def test_an_unknown_target_is_answered_with_the_list(self) -> None:
        with self.assertRaises(SystemExit):
            self.run_main("nothing")


if __name__ == "__main__":
    unittest.main()

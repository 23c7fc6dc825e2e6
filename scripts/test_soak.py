import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import soak


class Soak(unittest.TestCase):
    def test_a_process_that_is_left_is_seen_whatever_its_name(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            self.assertEqual(soak.processes_of(folder), [])
            line = [sys.executable, "-c", "print(flush=True); input()", str(folder / "out.mkv")]
            with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as left:
                # Its command line can be read once it runs.
                left.stdout.readline()
                self.assertEqual([found.split(":")[0] for found in soak.processes_of(folder)], [str(left.pid)])
                left.communicate(b"\n")
            self.assertEqual(soak.processes_of(folder), [])


if __name__ == "__main__":
    unittest.main()

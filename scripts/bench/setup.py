"""Where a benchmark finds the command, models, clips and the programs it is compared with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import srvgg
from measure import Command

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = Path(__file__).resolve().parent / "programs"
NETWORK = "realesr-animevideov3-x4"
BT709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]


class Absent(Exception):
    """Something a benchmark needs is not there; the text says what to do."""


@dataclass
class Setup:
    """One invocation's places and knobs."""

    kinora: Path
    models: Path
    out: Path
    peers: Path
    rounds: int
    threads: int

    @staticmethod
    def of(out: Path, rounds: int, threads: int) -> Setup:
        def place(name: str, default: str) -> Path:
            # not resolved further: a virtual environment is found by the name of its link
            return Path(os.path.abspath(ROOT / os.environ.get(name, default)))

        return Setup(
            place("KINORA", "target/ci/kinora"),
            place("KINORA_MODELS", ".cache/models"),
            Path(os.path.abspath(out)),
            place("KINORA_PEERS", ".cache/peers"),
            rounds,
            threads,
        )

    # --- kinora -----------------------------------------------------------------------------------------------

    def command(self, *args: object, env: dict[str, str] | None = None) -> Command:
        """A kinora command with this folder of models, quiet."""
        if not self.kinora.exists():
            raise Absent(f"{self.kinora} is not built: make setup")
        words = [str(self.kinora), *map(str, args), "--progress", "none", "--color", "never"]
        return Command(words, env={"KINORA_MODELS": str(self.models), **(env or {})})

    def pull(self, *names: str) -> None:
        """Fetches models, clips or libraries; what is there already is only checked."""
        command = self.command("models", "pull", *names)
        env = {**os.environ, **(command.env or {})}
        done = subprocess.run(
            command.args, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            raise Absent(f"kinora models pull {' '.join(names)}: {done.stderr.strip()[-300:]}")

    def encoder(self) -> list[object]:
        """The encoder of the reference job: x264 veryfast, crf 20."""
        words: list[object] = ["--codec", "h264", "--encoder-preset", "veryfast", "--crf", 20]
        return [*words, "--threads", self.threads, "--overwrite"]

    def report(self, path: Path) -> dict[str, object]:
        """A job's report; empty where the job failed."""
        return json.loads(path.read_text()) if path.exists() else {}

    # --- clips ------------------------------------------------------------------------------------------------

    def made(self, name: str, *args: object) -> Path:
        """A clip made by FFmpeg once, from the arguments before its name."""
        clip = self.out / name
        if not clip.exists():
            clip.parent.mkdir(parents=True, exist_ok=True)
            temporary = clip.with_name(f"part-{name}")
            words = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, args), str(temporary)]
            subprocess.run(words, check=True)
            temporary.rename(clip)
        return clip

    def reference_clip(self, seconds: int, width: int = 320, height: int = 180) -> Path:
        """The reference job's clip: moving, no two frames alike, H.264 with AAC, 24 frames a second."""
        return self.made(
            f"reference-{width}x{height}-{seconds}s.mp4",
            *("-f", "lavfi", "-i", f"mandelbrot=size={width}x{height}:rate=24,format=yuv420p"),
            *("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", seconds),
            *("-c:v", "libx264", "-preset", "medium", "-crf", 18, "-g", 48, *BT709),
            *("-c:a", "aac", "-b:a", "96k"),
        )

    def plain_clip(self, frames: int) -> Path:
        """1080p, 30 frames a second, FFmpeg's moving test picture, H.264: cheap to encode, so all else shows."""
        return self.made(
            f"plain-1080p-{frames}.mp4",
            *("-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30,format=yuv420p", "-frames:v", frames),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", 20, *BT709),
        )

    def film_clip(self, frames: int) -> Path:
        """1080p from a real 720p clip, repeated to the wanted length."""
        name = "clip-bigbuckbunny"
        self.pull(name)
        source = next((self.models / "clip" / name).glob("*.mp4"))
        return self.made(
            f"film-1080p-{frames}.mp4",
            *("-stream_loop", -1, "-i", source, "-an", "-vf", "scale=1920:1080,format=yuv420p", "-frames:v", frames),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", 20, *BT709),
        )

    # --- networks and peers -----------------------------------------------------------------------------------

    def weights(self) -> Path:
        """The ncnn weights of the reference network."""
        folder = self.models / "upscale" / NETWORK
        if not list(folder.glob("*.bin")):
            self.pull(NETWORK)
        return next(folder.glob("*.bin"))

    def onnx(self) -> Path:
        """The reference network with those weights as an ONNX file."""
        path = self.out / "srvgg-x4.onnx"
        if not path.exists():
            srvgg.write(self.weights(), path)
        return path

    def python(self, module: str) -> Path:
        """A Python that has a module: the peers', else the one that runs this."""
        for python in (self.peers / "venv/bin/python", Path(sys.executable)):
            if python.exists():
                asked = [str(python), "-c", f"import importlib.util as u; exit(u.find_spec('{module}') is None)"]
                if subprocess.run(asked, check=False).returncode == 0:
                    return python
        raise Absent(f"Python module {module} is not installed: bash scripts/bench/setup_peers.sh")

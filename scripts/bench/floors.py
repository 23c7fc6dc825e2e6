"""What the machine allows: operations over its measured peak, bytes over its measured bandwidth."""

from __future__ import annotations

import subprocess

import srvgg
from setup import PROGRAMS, Absent, Setup
from show import heading, table


def peaks(setup: Setup, threads: int) -> dict[str, float]:
    """GFLOP/s and GB/s by name."""
    program = setup.out / "peak"
    build = ["cc", "-O3", "-march=native", "-pthread", str(PROGRAMS / "peak.c"), "-o", str(program)]
    try:
        subprocess.run(build, check=True)
    except OSError as error:
        raise Absent(f"no C compiler: {error}") from error
    best: dict[str, float] = {}
    for _ in range(setup.rounds):
        said = subprocess.run([str(program), str(threads)], capture_output=True, text=True, check=True).stdout
        for name, value in map(str.split, said.splitlines()):
            best[name] = max(best.get(name, 0.0), float(value))
    return best


def main(setup: Setup) -> None:
    heading("Floors", f"measured peaks, best of {5 * setup.rounds}, and what they mean for the reference network")
    one, all_of_them = peaks(setup, 1), peaks(setup, setup.threads)
    names = {
        "f32_gflops": "f32 multiply-add, GFLOP/s",
        "bf16_gflops": "bf16 dot product (AVX512-BF16), GFLOP/s",
        "amx_bf16_gflops": "bf16 matrix tiles (AMX), GFLOP/s",
        "copy_gbytes": "memory copied (read and written), GB/s",
    }
    table(
        ["peak", "1 thread", f"{setup.threads} threads"],
        [[words, one.get(key), all_of_them.get(key)] for key, words in names.items()],
    )
    flop = srvgg.operations(320, 180)
    # every activation of the body is written once and read once; weights stay in the cache
    moved = 2.0 * 4 * 320 * 180 * srvgg.FEATURES * (srvgg.BODY + 1) + 4 * 320 * 180 * (3 + 2 * 48 + 2 * 48)
    rows = [
        [f"{flop / 1e9:.1f} GFLOP in f32", flop / 1e9 / one["f32_gflops"]],
        [f"{moved / 1e9:.2f} GB of activations", moved / 1e9 / one["copy_gbytes"]],
    ]
    bf16 = max(one.get("bf16_gflops", 0.0), one.get("amx_bf16_gflops", 0.0))
    if bf16:
        rows.insert(1, [f"{flop / 1e9:.1f} GFLOP in bf16", flop / 1e9 / bf16])
    table(["SRVGG 64x16 x4 on 320x180, least a frame", "CPU-seconds"], rows)
    print()

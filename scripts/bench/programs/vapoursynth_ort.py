"""The reference job's pictures in VapourSynth with vs-mlrt's ONNX Runtime plug-in; writes Y4M to standard output.

BENCH_IN=clip BENCH_MODEL=model.onnx BENCH_THREADS=2 python vapoursynth_ort.py
"""

import os
import sys

import vapoursynth as vs

core = vs.core
core.num_threads = int(os.environ["BENCH_THREADS"])
clip = core.bs.VideoSource(os.environ["BENCH_IN"], cachemode=0)
clip = core.resize.Bicubic(clip, format=vs.RGBS, matrix_in_s="709", range_in_s="limited")
clip = core.ort.Model(clip, os.environ["BENCH_MODEL"], provider="CPU", num_streams=1)
clip = core.std.Expr(clip, "x 0 max 1 min")
clip = core.resize.Bicubic(clip, format=vs.YUV420P8, matrix_s="709", range_s="limited")
clip.output(sys.stdout.buffer, y4m=True)

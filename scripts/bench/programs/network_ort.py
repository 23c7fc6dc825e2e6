"""ONNX Runtime called from Python on one network: prints `CPU-seconds wall-seconds` of each run, a line each.

python network_ort.py MODEL.onnx HEIGHT WIDTH THREADS RUNS [spin|nospin]
"""

import sys
import time

import numpy as np
import onnxruntime as ort

model = sys.argv[1]
height, width, threads, runs = map(int, sys.argv[2:6])
options = ort.SessionOptions()
options.intra_op_num_threads = threads
options.add_session_config_entry("session.intra_op.allow_spinning", "1" if sys.argv[6:] == ["spin"] else "0")
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: np.random.default_rng(0).random((1, 3, height, width), dtype=np.float32)}
session.run(None, feed)
for _ in range(runs):
    cpu, wall = time.process_time(), time.perf_counter()
    session.run(None, feed)
    print(f"{time.process_time() - cpu:.6f} {time.perf_counter() - wall:.6f}", flush=True)

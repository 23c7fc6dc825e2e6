"""The least-glue program: FFmpeg pipes, one ONNX Runtime session, a reader and a writer thread. Nothing else.

    python least_glue.py IN OUT MODEL.onnx WIDTH HEIGHT SCALE THREADS [spin|nospin]

Needs numpy and onnxruntime. No duplicate test, no order to keep, no errors to explain: the floor of the job.
"""

import queue
import subprocess
import sys
import threading

import numpy as np
import onnxruntime as ort

source, target, model = sys.argv[1:4]
width, height, scale, threads = map(int, sys.argv[4:8])
spin = "1" if sys.argv[8:] == ["spin"] else "0"

options = ort.SessionOptions()
options.intra_op_num_threads = threads
options.add_session_config_entry("session.intra_op.allow_spinning", spin)
session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
entry = session.get_inputs()[0].name

raw = ["-f", "rawvideo", "-pix_fmt", "gbrp"]
decoder = subprocess.Popen(
    ["ffmpeg", "-v", "error", "-i", source, *raw, "-"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0
)
encoder = subprocess.Popen(
    ["ffmpeg", "-v", "error", "-y", *raw, "-s", f"{width * scale}x{height * scale}", "-r", "24", "-i", "-"]
    + ["-i", source, "-map", "0:v", "-map", "1:a?", "-vf", "scale=out_color_matrix=bt709:out_range=tv"]
    + ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-threads", str(threads)]
    + ["-c:a", "copy", target],
    stdin=subprocess.PIPE,
)
decoded, finished = queue.Queue(4), queue.Queue(4)


def read() -> None:
    size = width * height * 3
    while True:
        frame = bytearray()
        while len(frame) < size:
            piece = decoder.stdout.read(size - len(frame))
            if not piece:
                decoded.put(None)
                return
            frame += piece
        decoded.put(np.frombuffer(bytes(frame), np.uint8).reshape(1, 3, height, width))


def write() -> None:
    while (frame := finished.get()) is not None:
        encoder.stdin.write(frame)
    encoder.stdin.close()


for lane in (read, write):
    threading.Thread(target=lane).start()
while (frame := decoded.get()) is not None:
    x = np.multiply(frame[:, [2, 0, 1]], 1 / 255, dtype=np.float32)
    y = session.run(None, {entry: x})[0]
    y *= 255
    y += 0.5
    np.clip(y, 0, 255, out=y)
    finished.put(y.astype(np.uint8)[0, [1, 2, 0]].tobytes())
finished.put(None)
decoder.wait()
sys.exit(encoder.wait())

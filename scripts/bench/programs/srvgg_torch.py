"""SRVGG 64x16 x4 in PyTorch, with the weights of the ncnn file.

    python srvgg_torch.py speed FILE.bin HEIGHT WIDTH THREADS RUNS    prints `CPU-seconds wall-seconds` of each run
    python srvgg_torch.py save FILE.bin OUT.pth                       writes the file that PyTorch programs load

Eager, f32, channels-last: the form that a serious program uses.
"""

import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import srvgg


class Net(nn.Module):
    def __init__(self, file: Path) -> None:
        super().__init__()
        body: list[nn.Module] = []
        for layer in srvgg.read_ncnn(file):
            conv = nn.Conv2d(layer.inputs, layer.outputs, 3, 1, 1)
            floats = [torch.frombuffer(bytearray(raw), dtype=torch.float32) for raw in (layer.weight, layer.bias)]
            conv.weight.data = floats[0].reshape(conv.weight.shape)
            conv.bias.data = floats[1]
            body.append(conv)
            if layer.slope is not None:
                body.append(nn.PReLU(layer.outputs))
                body[-1].weight.data = torch.frombuffer(bytearray(layer.slope), dtype=torch.float32)
        self.body = nn.ModuleList(body)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x
        for part in self.body:
            y = part(y)
        base = nn.functional.interpolate(x, scale_factor=srvgg.SCALE, mode="nearest")
        return nn.functional.pixel_shuffle(y, srvgg.SCALE) + base


net = Net(Path(sys.argv[2])).eval()
if sys.argv[1] == "save":
    Path(sys.argv[3]).parent.mkdir(parents=True, exist_ok=True)
    torch.save({"params": net.state_dict()}, sys.argv[3])
    sys.exit(0)
height, width, threads, runs = map(int, sys.argv[3:7])
torch.set_num_threads(threads)
torch.manual_seed(0)
net = net.to(memory_format=torch.channels_last)
x = torch.rand(1, 3, height, width).contiguous(memory_format=torch.channels_last)
with torch.inference_mode():
    net(x)
    for _ in range(runs):
        cpu, wall = time.process_time(), time.perf_counter()
        net(x)
        print(f"{time.process_time() - cpu:.6f} {time.perf_counter() - wall:.6f}", flush=True)

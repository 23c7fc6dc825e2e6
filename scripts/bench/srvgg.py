"""The network of the reference job: SRVGG, 64 features, 16 body convolutions, x4.

Reads its weights from the ncnn file of `realesr-animevideov3-x4` and writes the same network as an ONNX model, so
that every program of a comparison computes with the same numbers. Only the standard library is used.
"""

from __future__ import annotations

import array
import struct
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FEATURES, BODY, SCALE = 64, 16, 4
HALF_FLAG = 0x01306B47


@dataclass
class Layer:
    """A convolution and, but for the last one, the slope of each channel of the activation after it."""

    outputs: int
    inputs: int
    weight: bytes
    bias: bytes
    slope: bytes | None


def operations(width: int, height: int) -> float:
    """Operations (2 a multiply-add) of one frame's convolutions."""
    channels = [3] + [FEATURES] * (BODY + 1) + [3 * SCALE * SCALE]
    return 2.0 * 9 * width * height * sum(a * b for a, b in pairwise(channels))


def read_ncnn(path: Path) -> list[Layer]:
    """The layers of the `.bin` file: weights in half precision behind a flag, bias and slopes as f32."""
    data, at, layers = path.read_bytes(), 0, []

    def take(count: int) -> bytes:
        nonlocal at
        if at + count > len(data):
            raise ValueError(f"{path}: {len(data)} bytes, at least {at + count} expected")
        at += count
        return data[at - count : at]

    channels = [3] + [FEATURES] * (BODY + 1) + [3 * SCALE * SCALE]
    for number, (inputs, outputs) in enumerate(pairwise(channels)):
        count = inputs * outputs * 9
        (flag,) = struct.unpack("<I", take(4))
        if flag == HALF_FLAG:
            halves = struct.unpack(f"<{count}e", take(2 * count))
            take(-2 * count % 4)
            weight = array.array("f", halves).tobytes()
        elif flag == 0:
            weight = take(4 * count)
        else:
            raise ValueError(f"{path}: weights of layer {number} have the unknown flag {flag:#x}")
        last = number == BODY + 1
        layers.append(Layer(outputs, inputs, weight, take(4 * outputs), None if last else take(4 * outputs)))
    if at != len(data):
        raise ValueError(f"{path}: {len(data) - at} bytes are left over")
    return layers


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _tensor(name: str, dims: list[int], raw: bytes, kind: int = 1) -> bytes:
    return b"".join(_number(1, dim) for dim in dims) + _number(2, kind) + _bytes(8, name) + _bytes(9, raw)


def _ints(name: str, values: list[int]) -> bytes:
    return _bytes(5, _bytes(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7))


def _int(name: str, value: int) -> bytes:
    return _bytes(5, _bytes(1, name) + _number(3, value) + _number(20, 2))


def _text(name: str, value: str) -> bytes:
    return _bytes(5, _bytes(1, name) + _bytes(4, value) + _number(20, 3))


def _node(op: str, inputs: list[str], output: str, *attributes: bytes) -> bytes:
    body = b"".join(_bytes(1, name) for name in inputs) + _bytes(2, output) + _bytes(3, output) + _bytes(4, op)
    return _bytes(1, body + b"".join(attributes))


def _port(name: str, dims: list[int | str]) -> bytes:
    shape = b"".join(_bytes(1, _number(1, dim) if isinstance(dim, int) else _bytes(2, dim)) for dim in dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, 1) + _bytes(2, shape)))


def onnx(layers: list[Layer]) -> bytes:
    """The ONNX model, opset 17, as PyTorch exports it: Conv, PRelu, DepthToSpace, Resize, Add."""
    nodes, initializers, value = [], [], "input"
    for at, layer in enumerate(layers):
        names = [f"w{at}", f"b{at}"]
        initializers.append(_tensor(names[0], [layer.outputs, layer.inputs, 3, 3], layer.weight))
        initializers.append(_tensor(names[1], [layer.outputs], layer.bias))
        conv = [_ints("kernel_shape", [3, 3]), _ints("pads", [1, 1, 1, 1]), _ints("strides", [1, 1])]
        nodes.append(_node("Conv", [value, *names], f"conv{at}", *conv))
        value = f"conv{at}"
        if layer.slope is not None:
            initializers.append(_tensor(f"s{at}", [layer.outputs, 1, 1], layer.slope))
            nodes.append(_node("PRelu", [value, f"s{at}"], f"act{at}"))
            value = f"act{at}"
    initializers.append(_tensor("scales", [4], struct.pack("<4f", 1, 1, SCALE, SCALE)))
    nodes.append(_node("DepthToSpace", [value], "picture", _int("blocksize", SCALE), _text("mode", "CRD")))
    look = [_text("mode", "nearest"), _text("nearest_mode", "floor")]
    look.append(_text("coordinate_transformation_mode", "asymmetric"))
    nodes.append(_node("Resize", ["input", "", "scales"], "base", *look))
    nodes.append(_node("Add", ["picture", "base"], "output"))
    graph = b"".join(nodes) + _bytes(2, "srvgg") + b"".join(_bytes(5, one) for one in initializers)
    graph += _bytes(11, _port("input", [1, 3, "h", "w"])) + _bytes(12, _port("output", [1, 3, "h4", "w4"]))
    return _number(1, 8) + _bytes(2, "kinora-bench") + _bytes(7, graph) + _bytes(8, _number(2, 17))


def write(source: Path, target: Path) -> None:
    """Writes the ONNX form of an ncnn file's weights."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(onnx(read_ncnn(source)))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))

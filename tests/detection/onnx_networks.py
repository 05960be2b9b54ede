"""Small ONNX networks whose answers are known."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 9  # understood by every ONNX Runtime since 1.14


def save(path, nodes, constants, outputs, *, shape=(1, 3, 64, 64), metadata=None, extra=()):
    """Write a network with the input `images` and any outputs, given as name -> shape."""
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "test",
        [image, *extra],
        [helper.make_tensor_value_info(name, kind, size) for name, (kind, size) in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    helper.set_model_props(model, metadata or {})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return str(path)


def constant(path, outputs, **options):
    """Write a network that gives the same arrays for every picture."""
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
    kinds[np.dtype(np.int32)] = TensorProto.INT32
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    return save(
        path,
        [helper.make_node("Identity", [f"{name}_value"], [name]) for name in arrays],
        {f"{name}_value": value for name, value in arrays.items()},
        {name: (kinds[value.dtype], value.shape) for name, value in arrays.items()},
        **options,
    )


def colour_meter(path, *, output_format="yolov8", channels=3, factor=1.0, size=64, **options):
    """Write a network that finds one box, whose class scores are the means of the channels.

    `factor` multiplies the means. The box covers the middle half of the input.
    """
    edge = np.float32(size)
    boxes = np.zeros((1, 4, 16), np.float32)
    boxes[0, :, 0] = [edge / 2, edge / 2, edge / 2, edge / 2]
    chosen = np.zeros((1, 1, 16), np.float32)
    chosen[0, 0, 0] = 1
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Reshape", ["means", "column"], ["tall"]),
        helper.make_node("Mul", ["tall", "factor"], ["scores"]),
    ]
    constants = {
        "column": np.array([1, channels, 1], np.int64),
        "factor": np.array(factor, np.float32),
    }
    shape = (1, channels, size, size)
    if output_format == "yolov8":
        nodes += [
            helper.make_node("Mul", ["scores", "chosen"], ["all"]),
            helper.make_node("Concat", ["boxes", "all"], ["output0"], axis=1),
        ]
        constants |= {"boxes": boxes, "chosen": chosen}
        outputs = {"output0": (TensorProto.FLOAT, (1, 4 + channels, 16))}
        return save(path, nodes, constants, outputs, shape=shape, **options)
    if output_format == "yolox":
        rows = sum((size // stride) ** 2 for stride in (8, 16, 32))
        first = np.zeros((1, rows, 1), np.float32)
        first[0, 0, 0] = 1
        nodes += [
            helper.make_node("Transpose", ["scores"], ["flat"], perm=[0, 2, 1]),
            helper.make_node("Mul", ["flat", "first"], ["all"]),
            helper.make_node("Concat", ["head", "all"], ["output"], axis=2),
        ]
        head = np.concatenate([np.ones((1, rows, 4), np.float32), first], axis=2)
        constants |= {"first": first, "head": head}
        outputs = {"output": (TensorProto.FLOAT, (1, rows, 5 + channels))}
        return save(path, nodes, constants, outputs, shape=shape, **options)
    names = {"rfdetr": ("dets", "labels"), "detr": ("pred_boxes", "logits")}[output_format]
    nodes += [
        helper.make_node("Transpose", ["scores"], [names[1]], perm=[0, 2, 1]),
        helper.make_node("Identity", ["box"], [names[0]]),
    ]
    constants["box"] = np.full((1, 1, 4), 0.5, np.float32)
    outputs = {
        names[0]: (TensorProto.FLOAT, (1, 1, 4)),
        names[1]: (TensorProto.FLOAT, (1, 1, channels)),
    }
    return save(path, nodes, constants, outputs, shape=shape, **options)


def spot_finder(path, shape=(96, 128), **options):
    """Write a network whose box is centred on the bright spot of the picture.

    The centre is the centroid of what exceeds gray 128, pixel (0, 0) lying at (0.5, 0.5); the box
    is 8 by 8 input pixels.
    """
    height, width = shape
    x = np.broadcast_to(np.arange(width, dtype=np.float32) + 0.5, shape)
    y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None] + 0.5, shape)
    nodes = [
        helper.make_node("Sub", ["images", "half"], ["raised"]),
        helper.make_node("Relu", ["raised"], ["weight"]),
        helper.make_node("ReduceSum", ["weight"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "tiny"], ["total"]),
    ]
    for axis in ("x", "y"):
        nodes += [
            helper.make_node("Mul", ["weight", axis], [f"{axis}w"]),
            helper.make_node("ReduceSum", [f"{axis}w"], [f"{axis}s"], keepdims=0),
            helper.make_node("Div", [f"{axis}s", "total"], [f"{axis}c"]),
            helper.make_node("Reshape", [f"{axis}c", "cell"], [f"{axis}m"]),
        ]
    nodes += [
        helper.make_node("Concat", ["xm", "ym", "rest"], ["one"], axis=1),
        helper.make_node("Mul", ["one", "chosen"], ["output0"]),
    ]
    chosen = np.zeros((1, 1, 16), np.float32)
    chosen[0, 0, 0] = 1
    constants = {
        "half": np.array(0.5, np.float32),
        "tiny": np.array(1e-9, np.float32),
        "x": np.ascontiguousarray(x),
        "y": np.ascontiguousarray(y),
        "cell": np.array([1, 1, 1], np.int64),
        "rest": np.array([8, 8, 0.9], np.float32).reshape(1, 3, 1),
        "chosen": chosen,
    }
    outputs = {"output0": (TensorProto.FLOAT, (1, 5, 16))}
    return save(path, nodes, constants, outputs, shape=(1, 3, height, width), **options)


def fails_on_bright(path, size=64):
    """Write a network that finds one object of class 0, and fails on pictures brighter than 128.

    It looks up its answer at an index that is out of range for those.
    """
    answer = np.zeros((1, 5, 16), np.float32)
    answer[0, :, 0] = [size / 2, size / 2, size / 2, size / 2, 0.9]
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "two"], ["twice"]),
        helper.make_node("Floor", ["twice"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["answers", "index"], ["output0"], axis=0),
    ]
    constants = {"two": np.array(2, np.float32), "answers": answer[None]}
    outputs = {"output0": (TensorProto.FLOAT, (1, 5, 16))}
    return save(path, nodes, constants, outputs, metadata={"names": "{0: 'person'}"})

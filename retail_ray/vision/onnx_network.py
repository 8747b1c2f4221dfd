"""ONNX Runtime on a CPU, and the reshaping of ONNX YOLO graphs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.vision.networks import Scaling, T, check_images
from retail_ray.vision.reshape import GridChange


class OnnxNetwork:
    """Runs each image alone, one after the other, with `threads` threads."""

    def __init__(self, path: Path, scaling: Scaling, threads: int, input_hw: tuple[int, int] | None):
        import onnxruntime

        self._place = str(path)
        self._scaling = scaling
        self._session = _session(onnxruntime, path, str(path), threads)
        fixed_hw = self._fixed_hw()
        if fixed_hw is None and input_hw is None:
            raise ModelError(f"{path}: its input size is free; set input_hw")
        if fixed_hw is not None and input_hw not in {None, fixed_hw}:
            assert input_hw is not None
            self._session = _session(onnxruntime, path, reshaped_yolo_onnx(path, fixed_hw, input_hw), threads)
            fixed_hw = input_hw
        self._input_hw = fixed_hw or input_hw or (0, 0)
        self._input_name = self._session.get_inputs()[0].name
        self._output_shape = self._dry_run()

    def _fixed_hw(self) -> tuple[int, int] | None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type != "tensor(float)":
            raise WeightsError(
                f"{self._place}: expected one float32 image input (batch, 3, height, width), "
                f"found {[(i.name, i.shape, i.type) for i in inputs]}"
            )
        if len(outputs) != 1:
            raise WeightsError(f"{self._place}: expected one output, found {[(o.name, o.shape) for o in outputs]}")
        height, width = shape[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def _dry_run(self) -> tuple[int, ...]:
        (shape,) = self.run(np.zeros((1, *self._input_hw, 3), np.uint8), np.shape)
        return tuple(shape)

    @property
    def input_hw(self) -> tuple[int, int]:
        return self._input_hw

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self._output_shape

    def run(self, images: NDArray[np.uint8], finish: Callable[[NDArray[np.float32]], T]) -> list[T]:
        check_images(images, self._input_hw, self._place)
        return [finish(self._session.run(None, {self._input_name: self._scaling.apply(i[None])})[0][0]) for i in images]


def _session(onnxruntime: Any, path: Path, model: str | bytes, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning threads would burn the cores that decoding and tracking need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's own exceptions share no base but Exception.
    except Exception as error:
        raise WeightsError(f"{path}: not a model that ONNX Runtime can load ({error}); export it again") from error


def reshaped_yolo_onnx(path: Path, old_hw: tuple[int, int], new_hw: tuple[int, int]) -> bytes:
    """The same YOLO graph with another input size, serialised."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    change = GridChange(old_hw, new_hw)
    patterns = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    tensors = list(model.graph.initializer)
    for node in model.graph.node:
        if node.op_type == "Constant":
            tensors.extend(a.t for a in node.attribute if a.name == "value")
            patterns.update(a.t.name for a in node.attribute if a.name == "value" and node.output[0] in patterns)
    for tensor in tensors:
        values = numpy_helper.to_array(tensor)
        changed = change.shape_pattern(values) if tensor.name in patterns else change.constant(values)
        if changed is not None and not np.array_equal(changed, values):
            tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
    del model.graph.value_info[:]
    dimensions = model.graph.input[0].type.tensor_type.shape.dim
    dimensions[2].dim_value, dimensions[3].dim_value = new_hw
    cells = change.lengths()
    for dimension in model.graph.output[0].type.tensor_type.shape.dim:
        dimension.dim_value = cells.get(dimension.dim_value, dimension.dim_value)
    return bytes(model.SerializeToString())

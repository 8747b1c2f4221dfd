"""OpenVINO on a CPU: the only file that imports it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from retail_ray.core.errors import ModelError, WeightsError
from retail_ray.vision.networks import Precision, Scaling, T, check_images
from retail_ray.vision.reshape import GridChange

VERSION: str = ov.get_version()


def read_ir(xml: Path) -> Any:
    """An `ov.Model` from IR (.xml with its .bin) or ONNX. Raises WeightsError naming the file."""
    if xml.suffix == ".xml" and not xml.with_suffix(".bin").is_file():
        raise WeightsError(
            f"{xml}: its weights {xml.with_suffix('.bin').name} are missing; copy the whole exported folder"
        )
    try:
        return ov.Core().read_model(xml)
    except RuntimeError as error:
        raise WeightsError(
            f"{xml}: not a model that OpenVINO can read ({_last_line(error)}); export or fetch it again"
        ) from error


def static_hw(model: Any, place: str) -> tuple[int, int] | None:
    """Height and width of the image input (batch, 3, H, W), None where they are dynamic."""
    shape = model.inputs[0].get_partial_shape()
    if len(model.inputs) != 1 or len(shape) != 4 or (shape[1].is_static and shape[1].get_length() != 3):
        raise WeightsError(f"{place}: expected one image input (batch, 3, height, width), found {shape}")
    if shape[2].is_dynamic or shape[3].is_dynamic:
        return None
    return shape[2].get_length(), shape[3].get_length()


def reshape_yolo(model: Any, new_hw: tuple[int, int], place: str) -> None:
    """Change the input of a YOLO `ov.Model` in place to (1, 3, *new_hw)."""
    old_hw = static_hw(model, place)
    if old_hw is not None and old_hw != new_hw:
        change = GridChange(old_hw, new_hw)
        for node in model.get_ordered_ops():
            kind = node.get_type_name()
            if kind == "Reshape":
                _change_pattern(node, change)
            elif kind == "Constant":
                _change_constant(node, change)
    try:
        # Not `model.reshape`: it checks the changed constants against the old input first.
        model.get_parameters()[0].set_partial_shape(ov.PartialShape([1, 3, *new_hw]))
        model.validate_nodes_and_infer_types()
    except RuntimeError as error:
        raise ModelError(
            f"{place}: cannot be given the input shape {new_hw[0]}x{new_hw[1]} ({_last_line(error)}); "
            f"use its own shape {old_hw}, or export it for this one"
        ) from error


def _change_pattern(node: Any, change: GridChange) -> None:
    pattern = node.input_value(1).get_node()
    if pattern.get_type_name() == "Constant":
        values = np.asarray(pattern.data)
        changed = change.shape_pattern(values)
        if not np.array_equal(values, changed):
            node.input(1).replace_source_output(ov.op.Constant(changed).output(0))


def _change_constant(node: Any, change: GridChange) -> None:
    shape = node.output(0).get_partial_shape()
    if len(shape) == 0 or shape[-1].get_length() not in change.lengths():
        return
    changed = change.constant(np.asarray(node.data))
    if changed is not None:
        replacement = ov.op.Constant(changed).output(0)
        for target in node.output(0).get_target_inputs():
            target.replace_source_output(replacement)


class OpenVINONetwork:
    """Runs each image alone, `streams` images at a time.

    Requests run synchronously in this object's own threads: OpenVINO's AsyncInferQueue can hang
    (ultralytics issue 25923). Threads are not pinned: pinning counts cores from 0 in every process, so two
    processes would share one core.
    """

    def __init__(self, model: Any, scaling: Scaling, *, precision: Precision, threads: int, streams: int, place: str):
        hw = static_hw(model, place)
        if hw is None or len(model.outputs) != 1:
            raise WeightsError(f"{place}: expected a fixed input size and one output, found {hw}, {model.outputs}")
        self._place = place
        self._input_hw = hw
        core = ov.Core()
        config = {
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(threads),
            "INFERENCE_PRECISION_HINT": choose_precision(precision, core),
            "ENABLE_CPU_PINNING": "NO",
        }
        try:
            self._compiled = core.compile_model(_with_scaling(model, scaling, hw), "CPU", config)
        except RuntimeError as error:
            raise ModelError(f"{place}: OpenVINO cannot compile it ({_last_line(error)})") from error
        self._requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._requests.put(self._compiled.create_infer_request())
        self._pool = ThreadPoolExecutor(streams, thread_name_prefix="openvino") if streams > 1 else None

    @property
    def input_hw(self) -> tuple[int, int]:
        return self._input_hw

    @property
    def output_shape(self) -> tuple[int, ...]:
        return tuple(self._compiled.output(0).shape)[1:]

    @property
    def precision(self) -> str:
        """The precision that OpenVINO really uses, 'f32' or 'bf16'."""
        return str(self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())

    def run(self, images: NDArray[np.uint8], finish: Callable[[NDArray[np.float32]], T]) -> list[T]:
        check_images(images, self._input_hw, self._place)

        def infer(image: NDArray[np.uint8]) -> T:
            request = self._requests.get()
            try:
                request.set_input_tensor(ov.Tensor(np.ascontiguousarray(image[None])))
                request.infer()
                return finish(request.get_output_tensor(0).data[0])
            finally:
                self._requests.put(request)

        if self._pool is None or len(images) == 1:
            return [infer(image) for image in images]
        return list(self._pool.map(infer, images))


def choose_precision(precision: Precision, core: Any | None = None) -> str:
    """'auto' is bf16 where the CPU computes in it, else f32. Raises ModelError for what the CPU lacks."""
    has_bf16 = "BF16" in (core or ov.Core()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "f16" or (precision == "bf16" and not has_bf16):
        raise ModelError(f"precision '{precision}': this CPU cannot compute in it; choose 'auto' or 'f32'")
    if precision == "auto":
        return "bf16" if has_bf16 else "f32"
    return precision


def _with_scaling(model: Any, scaling: Scaling, hw: tuple[int, int]) -> Any:
    """Let the graph take one (1, H, W, 3) uint8 image."""
    model.reshape([1, 3, *hw])
    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_shape([1, *hw, 3])
    steps.input().model().set_layout(ov.Layout("NCHW"))
    convert = steps.input().preprocess().convert_element_type(ov.Type.f32)
    if any(scaling.mean_rgb):
        convert = convert.mean(list(scaling.mean_rgb))
    convert.scale(list(scaling.divisor_rgb))
    steps.output().tensor().set_element_type(ov.Type.f32)
    return steps.build()


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

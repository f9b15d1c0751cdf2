"""Composes end-to-end graphs, which take a waveform and face crops and give the prediction in one call."""

import onnx
import torch
from onnx import TensorProto, compose, helper
from torch import Tensor, nn

from vavl_export.graph_specs import GraphSpec

FUSED = ("audio", "visual", "audio_visual")


def fused_name(path: str) -> str:
    """Name of the fused graph of a path."""
    return f"{path}_fused"


def fuse_path(path: str, models: dict[str, onnx.ModelProto]) -> onnx.ModelProto:
    """Compose the encoders with a path graph.

    Args:
        path: ``audio``, ``visual`` or ``audio_visual``.
        models: The graphs by name, weights inside.

    Returns:
        A graph from ``waveform`` and ``samples`` and/or ``faces`` to ``prediction`` and ``embedding``. The faces of a
        call make one sequence, so a graph with a visual branch takes one clip per call.
    """
    head = compose.add_prefix(models[path], "path/")
    if path != "audio":
        head = _merge(_faces_to_sequence(models["face_encoder"]), head, "visual", "face/")
    if path != "visual":
        head = _merge(compose.add_prefix(models["audio_encoder"], "sound/"), head, "audio", "sound/")
    for value in (*head.graph.input, *head.graph.output):
        _rename(head, value.name, value.name.rsplit("/", 1)[1])
    head.graph.name = fused_name(path)
    head.ir_version = models[path].ir_version
    del head.metadata_props[:]
    head.producer_name = models[path].producer_name
    return head


class FusedPath(nn.Module):
    """Computes in PyTorch what a fused graph computes, as the reference of its golden vectors.

    Args:
        path: ``audio``, ``visual`` or ``audio_visual``.
        specs: The specs of the bundle by name.
    """

    def __init__(self, path: str, specs: dict[str, GraphSpec]) -> None:
        super().__init__()
        self.has_audio = path != "visual"
        self.has_visual = path != "audio"
        self.head = specs[path].module
        self.audio_encoder = specs["audio_encoder"].module
        self.face_encoder = specs["face_encoder"].module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``waveform, samples`` and/or ``faces`` to prediction and embedding."""
        features: list[Tensor] = []
        if self.has_audio:
            features += self.audio_encoder(*inputs[:2])
        if self.has_visual:
            encoded = self.face_encoder(inputs[-1])
            features += [encoded[None], torch.tensor([len(encoded)])]
        prediction, embedding = self.head(*features)
        return prediction, embedding


def fused_spec(path: str, specs: dict[str, GraphSpec]) -> GraphSpec:
    """Specify the golden vectors of a fused graph: one clip of audio and three faces.

    Args:
        path: ``audio``, ``visual`` or ``audio_visual``.
        specs: The specs of the bundle by name.

    Returns:
        A specification that is never exported itself.
    """
    names = ["audio_encoder"] * (path != "visual") + ["face_encoder"] * (path != "audio")
    inputs = tuple(name for encoder in names for name in specs[encoder].inputs)

    def example(batch: int, length: float) -> tuple[Tensor, ...]:
        batches = {"audio_encoder": 1, "face_encoder": 3}
        return tuple(value for name in names for value in specs[name].example(batches[name], length))

    module, name = FusedPath(path, specs), fused_name(path)
    return GraphSpec(
        name, f"{path}.fused.onnx", "weights.bin", module, inputs, specs[path].outputs, {}, example, ((1, 0.6),)
    )


def _merge(encoder: onnx.ModelProto, head: onnx.ModelProto, modality: str, prefix: str) -> onnx.ModelProto:
    joints = [(f"{prefix}{modality}_{part}", f"path/{modality}_{part}") for part in ("features", "lengths")]
    return compose.merge_models(encoder, head, io_map=joints)


def _faces_to_sequence(face_encoder: onnx.ModelProto) -> onnx.ModelProto:
    """Append operators that turn the features of N crops into one clip of N tokens."""
    model = compose.add_prefix(face_encoder, "face/")
    graph = model.graph
    width = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    features = graph.output[0].name
    zero = helper.make_tensor("face/zero", TensorProto.INT64, [1], [0])
    one = helper.make_tensor("face/one", TensorProto.INT64, [1], [1])
    graph.initializer.append(zero)
    graph.node.append(helper.make_node("Unsqueeze", [features, "face/zero"], ["face/visual_features"]))
    # The length is data, and `Shape` gives it on the CPU: ONNX Runtime would copy it to the GPU, and refuses to capture
    # a CUDA graph with such a copy. Ones of that shape, summed, are on the GPU from the start.
    graph.node.append(helper.make_node("Shape", [features], ["face/count"], start=0, end=1))
    graph.node.append(helper.make_node("ConstantOfShape", ["face/count"], ["face/ones"], value=one))
    graph.node.append(helper.make_node("ReduceSum", ["face/ones"], ["face/visual_lengths"], keepdims=1))
    del graph.output[:]
    shape = [1, "faces", width]
    graph.output.append(helper.make_tensor_value_info("face/visual_features", TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info("face/visual_lengths", TensorProto.INT64, [1]))
    return model


def _rename(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*model.graph.input, *model.graph.output):
        if value.name == old:
            value.name = new

"""Small exported graphs for tests, with the sessions that run them."""

from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from vavl.config import VavlConfig
from vavl.model import Vavl
from vavl_export.graph_lint import lint_graph
from vavl_export.graph_specs import GraphSpec
from vavl_export.to_onnx import export_graph

TINY = {
    "audio_dim": 24,
    "visual_dim": 20,
    "width": 32,
    "heads": 4,
    "audio_layers": 1,
    "visual_layers": 1,
    "shared_layers": 1,
    "feed_forward_mult": 2,
    "conv_kernel": 7,
    "head_hidden": (16, 8),
}
REGRESSION = {"task": "regression", "labels": ("arousal", "dominance", "valence"), "flipped": ("arousal",)}


def tiny_model(**changes: object) -> Vavl:
    """A small model whose every parameter and statistic is random, so that nothing cancels by being 0 or 1."""
    generator = torch.Generator().manual_seed(7)
    model = Vavl(VavlConfig.create(**{**TINY, **changes})).eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator) * (value.shape[-1] ** -0.5 if value.ndim > 1 else 0.3)
            positive = name.endswith(("running_var", "std")) or ("norm" in name and name.endswith("weight"))
            value.copy_(1.0 + 0.5 * noise.tanh() if positive else noise)
    return model


@dataclass(frozen=True)
class Exported:
    """A graph with its plan and its session."""

    plan: GraphSpec
    session: ort.InferenceSession

    def run(self, *inputs: torch.Tensor | NDArray[np.generic]) -> list[NDArray[np.generic]]:
        """Run the graph on inputs in the plan's order."""
        named = {name: np.asarray(value) for name, value in zip(self.plan.inputs, inputs, strict=True)}
        return list(self.session.run(list(self.plan.outputs), named))


def export(plan: GraphSpec) -> Exported:
    """Export a plan and open it."""
    model = export_graph(plan)
    lint_graph(model, plan.name)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return Exported(plan, ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]))

"""PyTorch: eager, compiled, as a CUDA graph, and as a CUDA graph with sound and pictures side by side."""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.accelerator import Accelerator
from benchmarks.gpu.models import Inputs, Subject
from benchmarks.gpu.plan import Engine

_WARM_UPS = 3


class TorchProgram:
    """A subject that PyTorch runs.

    In fp16, weights are stored in fp16 and everything runs under autocast: products in fp16, softmax and sums over time
    in fp32; norms read and write fp16 and sum in fp32, faster than autocast by itself.

    Args:
        accelerator: The device.
        engine: How to run.
        subject: What to run, on the CPU; it is copied.
        inputs: On the device; they stay at their addresses.
    """

    def __init__(self, accelerator: Accelerator, engine: Engine, subject: Subject, inputs: Inputs) -> None:
        self._accelerator = accelerator
        self._engine = engine
        self._inputs = inputs
        self._subject = copy.deepcopy(subject).to(accelerator.device)
        if engine.precision == "fp16":
            _store_half(self._subject)
        self._outputs: Inputs = {}
        self._run = self._prepare()

    def run(self) -> None:
        """Enqueue one run on the main stream."""
        self._run()

    def outputs(self) -> Inputs:
        """What the last run gave."""
        return self._outputs

    def close(self) -> None:
        """Let go of weights, graph and compiled code."""
        del self._run, self._subject
        self._outputs = {}
        torch.compiler.reset()

    def _prepare(self) -> Callable[[], None]:
        forward = self._side_by_side if self._engine.streams == 2 else self._subject
        if self._engine.streams == 2 and self._engine.compiled:
            self._subject.hear = self._compile(self._subject.hear)
            self._subject.see = self._compile(self._subject.see)
        if self._engine.style == "compile":
            forward = self._compile(forward)

        def work() -> None:
            half = self._engine.precision == "fp16"
            device = self._accelerator.device.partition(":")[0]
            # The cache of casts would hold tensors of one run in the graph of another.
            with torch.no_grad(), torch.autocast(device, torch.float16, enabled=half, cache_enabled=False):
                self._outputs = forward(self._inputs)

        if self._engine.style != "graph":
            return work
        for _ in range(_WARM_UPS):
            work()
        return self._accelerator.capture(work)

    def _compile(self, function: Callable[..., Any]) -> Any:
        return torch.compile(function, backend=self._accelerator.compiler, dynamic=False)

    def _side_by_side(self, inputs: Inputs) -> Inputs:
        with self._accelerator.aside():
            seen = self._subject.see(inputs)
        heard = self._subject.hear(inputs)
        self._accelerator.join()
        outputs: Inputs = self._subject.conclude(heard, seen)
        return outputs


def _store_half(subject: nn.Module) -> None:
    for module in subject.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.LayerNorm):
            module.half()
        if isinstance(module, nn.LayerNorm):
            module.forward = partial(_normalise, module)


def _normalise(module: nn.LayerNorm, x: torch.Tensor) -> torch.Tensor:
    """Autocast would read and write fp32."""
    with torch.autocast(x.device.type, enabled=False):
        return nn.functional.layer_norm(x.half(), module.normalized_shape, module.weight, module.bias, module.eps)

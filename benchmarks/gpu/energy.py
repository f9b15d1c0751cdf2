"""The GPU's own counter of energy."""

import contextlib
from collections.abc import Callable, Iterator

from vavl_bench.nvml import NvmlError, open_nvml


@contextlib.contextmanager
def open_counter(device: str) -> Iterator[Callable[[], float] | str]:
    """Open the counter for a ``with`` block.

    Args:
        device: Name of the device in PyTorch.

    Yields:
        What reads the joules used since the driver was loaded, or why there is no such counter.
    """
    kind, _, index = device.partition(":")
    with contextlib.ExitStack() as stack:
        if kind != "cuda":
            yield "only of a GPU"
            return
        try:
            nvml = stack.enter_context(open_nvml())
            gpu = nvml.gpu(int(index))
            nvml.energy_j(gpu)
        except NvmlError as error:
            yield str(error)
            return
        yield lambda: nvml.energy_j(gpu)

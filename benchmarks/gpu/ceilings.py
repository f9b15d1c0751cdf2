"""What the device reaches at best: a large copy and a large matrix product."""

from benchmarks.gpu.accelerator import Accelerator
from benchmarks.gpu.counting import Ceilings

_REPEATS = 20


def measure_ceilings(accelerator: Accelerator, *, tiny: bool) -> Ceilings:
    """Measure a copy within device memory and an fp16 matrix product on random numbers, the median of each.

    Args:
        accelerator: The device.
        tiny: Small sizes, for a dry run.

    Returns:
        Both rates.
    """
    import torch

    numbers, side = (1 << 16, 64) if tiny else (1 << 29, 8192)
    source = torch.randn(numbers, device=accelerator.device)
    target = torch.empty_like(source)
    left, right = (torch.randn(side, side, device=accelerator.device).half() for _ in range(2))
    product = torch.empty_like(left)
    copy_ms = _median_ms(accelerator, lambda: target.copy_(source))
    matmul_ms = _median_ms(accelerator, lambda: torch.mm(left, right, out=product))
    return Ceilings(2 * source.nbytes / (copy_ms / 1000), 2 * side**3 / (matmul_ms / 1000))


def _median_ms(accelerator: Accelerator, work: object) -> float:
    times = sorted(accelerator.time(work)[0] for _ in range(_REPEATS))  # type: ignore[arg-type]
    return times[_REPEATS // 2]

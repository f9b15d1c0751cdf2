"""How far an engine's answer is from PyTorch's in fp32, and how far it may be."""

from benchmarks.gpu.models import Inputs
from vavl_export.errors import ParityError
from vavl_export.golden import TOLERANCE, relative_l2

# An engine a little beyond the exporter's tolerance is timed and marked; one far beyond it computes something else.
GROSS = 4.0


def error_of(expected: Inputs, outputs: Inputs) -> float:
    """The largest relative L2 error over the outputs; infinite if one is not finite or of another shape."""
    return max(
        relative_l2(outputs[name].detach().cpu().numpy(), reference.numpy()) for name, reference in expected.items()
    )


def check(error: float, precision: str) -> None:
    """Refuse what is far beyond the exporter's tolerance.

    Args:
        error: Relative L2 error.
        precision: Of the engine.

    Raises:
        ParityError: It is too large: what the engine computes is not worth timing.
    """
    limit = GROSS * TOLERANCE[precision]
    if not error <= limit:
        raise ParityError(f"relative L2 error {error:.2e} against PyTorch fp32, at most {limit:.0e} expected")

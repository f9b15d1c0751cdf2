"""Checks that PyTorch can use a device, before any work begins."""

from vavl_runtime.errors import BackendUnavailableError


def check_device(name: str) -> None:
    """Check that PyTorch can use a device.

    Args:
        name: Name in PyTorch: ``cpu``, ``cuda``, ``cuda:1``, ….

    Raises:
        BackendUnavailableError: PyTorch does not know the device, or this machine has none.
    """
    import torch

    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch was built without CUDA
        reason = str(error).splitlines()[0]
        raise BackendUnavailableError(f"device {name!r}: cannot be used here ({reason}); name another one") from error

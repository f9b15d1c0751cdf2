"""Reads a clip again without a modality that turned out to be broken."""

import logging
from collections.abc import Callable
from typing import TypeVar

from vavl_runtime.errors import InputError
from vavl_runtime.pipeline.availability import Modality, Use
from vavl_runtime.pipeline.clip_reader import ModalityFaultError

T = TypeVar("T")
Faults = dict[Modality, InputError]

log = logging.getLogger(__name__)


def without_broken(attempt: Callable[[Faults], T], use: Use) -> T:
    """Make one pass over a clip, and another one without each modality that breaks.

    Args:
        attempt: Makes a pass; it is given the modalities that are known to be broken, which it leaves out.
        use: What the user asks for: only ``auto`` can do without a modality.

    Returns:
        What the pass gives that comes to its end.

    Raises:
        InputError: What is asked for is broken.
    """
    faults: Faults = {}
    while True:
        try:
            return attempt(faults)
        except ModalityFaultError as fault:
            faults[fault.modality] = fault.error
            log.debug("%s is broken: %s", fault.modality, fault.error)  # results name only its kind
            if use != "auto" or len(faults) == 2:
                raise combined(faults) from None


def combined(faults: Faults) -> InputError:
    """One error for all broken modalities, of the kind of the first."""
    errors = list(faults.values())
    return type(errors[0])("; ".join(map(str, errors)))

"""Where figures come from: command, seeds, and versions of what computed them."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from vavl.config import StrictModel

DISTRIBUTIONS = ("vavl-edge", "torch", "numpy", "scipy", "scikit-learn")


class Provenance(StrictModel):
    """Enough to make the figures again.

    Attributes:
        command: The command line.
        seeds: Every seed, by what it seeds: ``partitions``, ``training``.
        versions: Of Python and of the installed distributions, by name.
    """

    command: str
    seeds: dict[str, int]
    versions: dict[str, str]


def provenance(command: str, seeds: Mapping[str, int]) -> Provenance:
    """Describe this process; a distribution that is not installed is left out."""
    versions = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return Provenance(command=command, seeds=dict(seeds), versions=versions)

"""Provenance of results: command, seeds and software versions."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from vavl.config import StrictModel

DISTRIBUTIONS = ("vavl-edge", "torch", "numpy", "scipy", "scikit-learn")


class Provenance(StrictModel):
    """What is needed to reproduce results.

    Attributes:
        command: The command line.
        seeds: Every seed by its purpose: ``partitions``, ``training``.
        versions: Versions of Python and of installed distributions, by name.
    """

    command: str
    seeds: dict[str, int]
    versions: dict[str, str]


def provenance(command: str, seeds: Mapping[str, int]) -> Provenance:
    """Describe this process; distributions that are not installed are left out."""
    versions = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return Provenance(command=command, seeds=dict(seeds), versions=versions)

"""Which extras of our distribution are installed."""

from collections.abc import Callable, Sequence

from packaging.requirements import Requirement

DISTRIBUTION = "vavl-edge"


def installed_extras(requirements: Sequence[str], installed: Callable[[str], str | None]) -> tuple[str, ...]:
    """Find the extras whose packages are all installed.

    Args:
        requirements: Those of our distribution, as its metadata lists them.
        installed: Version of an installed distribution by its name; None if it is not installed.

    Returns:
        The extras, sorted by name.

    Example:
        >>> installed_extras(["onnxruntime>=1.19; extra == 'cpu'"], {"onnxruntime": "1.23.2"}.get)
        ('cpu',)
    """
    parsed = [Requirement(text) for text in requirements]

    def needs(extra: str) -> list[Requirement]:
        return [one for one in parsed if one.marker and _applies(one, extra) and not _applies(one, "")]

    def complete(extra: str) -> bool:
        needed = needs(extra)
        return bool(needed) and all(
            all(map(complete, one.extras)) if one.name == DISTRIBUTION else _fits(one, installed(one.name))
            for one in needed
        )

    return tuple(sorted(filter(complete, _names(parsed))))


def _names(requirements: Sequence[Requirement]) -> set[str]:
    """The extras that markers name."""
    words = " ".join(str(one.marker) for one in requirements if one.marker).split("extra == ")[1:]
    return {word.split('"')[1] for word in words}


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is not None and requirement.marker.evaluate({"extra": extra})


def _fits(requirement: Requirement, version: str | None) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)

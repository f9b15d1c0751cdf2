"""Which licence each file of a bundle is under, by the table in WEIGHTS-LICENSES.md."""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

TABLE = "WEIGHTS-LICENSES.md"
FOLDER = "bundles"
SUFFIXES = (".bin", ".ckpt", ".engine", ".npy", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensors", ".vavl")


def is_weight(name: str) -> bool:
    """Whether a file of the wheel is part of a bundle, or of a kind that holds weights.

    Args:
        name: Path inside the wheel, with slashes.

    Returns:
        True for every file below a bundle's folder and for the usual suffixes of weights wherever they lie.
    """
    path = PurePosixPath(name)
    in_bundle = FOLDER in path.parts and len(path.parts) > path.parts.index(FOLDER) + 2
    return in_bundle or path.suffix in SUFFIXES


def read_table(text: str) -> dict[str, str]:
    """Read the table.

    Args:
        text: The content of WEIGHTS-LICENSES.md. The first cell of a row has patterns of paths between backticks; the
            second begins with an SPDX identifier between backticks.

    Returns:
        The licence of each pattern.

    Raises:
        ValueError: A row names files and no licence.
    """
    licences: dict[str, str] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        patterns = [word for word in re.findall(r"`([^`]+)`", cells[0]) if "/" in word]
        if not line.startswith("|") or not patterns:
            continue
        licence = re.match(r"`([^`]+)`", cells[1])
        if licence is None:
            raise ValueError(f"{TABLE}: the row of {patterns[0]} begins with {cells[1]!r}, expected `LICENCE`")
        licences |= dict.fromkeys(patterns, licence[1])
    return licences


def licences_of(names: Iterable[str], table: Mapping[str, str]) -> dict[str, str]:
    """Find the licence of each file.

    Args:
        names: Paths inside the wheel.
        table: Licences by pattern; ``*`` stands for anything but a slash.

    Returns:
        The SPDX identifier of each path.

    Raises:
        ValueError: A file has no row in the table, or more than one, or a pattern fits no file.
    """
    used: dict[str, list[str]] = {pattern: [] for pattern in table}
    for name in names:
        fitting = [pattern for pattern in table if PurePosixPath(f"/{name}").match(f"/{pattern}")]
        if len(fitting) != 1:
            raise ValueError(
                f"{name}: {len(fitting)} rows of {TABLE} name it ({', '.join(fitting) or 'none'}), expected one; "
                "write its licence and source into the table"
            )
        used[fitting[0]].append(name)
    unused = [pattern for pattern, found in used.items() if not found]
    if unused:
        raise ValueError(f"{TABLE} names {', '.join(unused)}, which no file fits; remove it from the table")
    return {name: table[pattern] for pattern, found in used.items() for name in found}

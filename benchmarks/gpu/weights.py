"""Weights from a seed: a bundle travels as its graphs and a recipe, and its weight files are made again, bit by bit."""

import json
import lzma
import math
import os
import shutil
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.bundle import PACKAGED_BUNDLE
from vavl_runtime.files import folder_beside

RECIPE, LITERALS = "weights.json", "literals.bin"
SEED = 0


class Drawn(NamedTuple):
    """How a parameter is drawn: uniformly, ``spread`` to both sides of ``centre``."""

    shape: tuple[int, ...]
    centre: float
    spread: float


def draw(name: str, drawn: Drawn) -> NDArray[np.float32]:
    """Draw a parameter. The same name gives the same bits on every machine.

    Uniform numbers are integers times a power of two. Normal ones would go through the logarithm of each machine's own
    library.

    Args:
        name: Name of the parameter, which with `SEED` seeds its generator.
        drawn: Shape and range.

    Returns:
        float32, of that shape.
    """
    generator = np.random.default_rng([SEED, zlib.crc32(name.encode())])
    values: NDArray[np.float32] = generator.random(math.prod(drawn.shape), dtype=np.float32)
    values -= np.float32(0.5)
    values *= np.float32(2 * drawn.spread)
    values += np.float32(drawn.centre)
    return values.reshape(drawn.shape)


def split_bytes(values: NDArray[Any]) -> bytes:
    """The first bytes of all values, then the second ones, and so on: tables of sines compress to half like this."""
    return bytes(np.ascontiguousarray(values).view(np.uint8).reshape(-1, values.itemsize).T.tobytes())


def joined_bytes(content: bytes, dtype: str) -> NDArray[Any]:
    """Undo `split_bytes`: the values, flat."""
    planes = np.frombuffer(content, np.uint8).reshape(np.dtype(dtype).itemsize, -1)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(-1)


def parameters(recipe: dict[str, Any]) -> dict[str, Drawn]:
    """The parameters of a recipe, by name."""
    return {name: Drawn(tuple(shape), *rest) for name, (shape, *rest) in recipe["parameters"].items()}


def read_recipe(structures: Path) -> dict[str, Any]:
    """Read the recipe beside the graphs."""
    recipe: dict[str, Any] = json.loads((structures / RECIPE).read_text("utf-8"))
    return recipe


def fill_bundle(structures: Path, bundle: Path) -> None:
    """Make a bundle of its graphs and their recipe, and check every file against the hashes of the export.

    Args:
        structures: Folder with the files of a bundle but no weight files, and its recipe.
        bundle: Folder to write; an older one is replaced.

    Raises:
        AlteredFileError: This numpy draws other numbers than the one that packed the recipe.
    """
    recipe, literals = read_recipe(structures), lzma.decompress((structures / LITERALS).read_bytes())
    drawn = parameters(recipe)
    with folder_beside(bundle, overwrite=True) as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        shutil.copytree(structures, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(RECIPE, LITERALS))
        for path, original in recipe["copies"].items():
            shutil.copyfile(PACKAGED_BUNDLE / original, folder / path)
        places = {path: np.memmap(folder / path, np.uint8, "w+", shape=size) for path, size in recipe["files"].items()}

        def place(piece: dict[str, Any]) -> None:
            content = np.frombuffer(_content(piece, drawn, literals), np.uint8)
            places[piece["file"]][piece["offset"] :][: len(content)] = content

        list(pool.map(place, recipe["pieces"]))
        for written in places.values():
            written.flush()
    with open_bundle(bundle) as opened:
        opened.verify_all()


def _content(piece: dict[str, Any], drawn: dict[str, Drawn], literals: bytes) -> bytes:
    """The bytes of one tensor: kept as they are, or parameters transposed, joined along an axis and rounded."""
    if "literal" in piece:
        start, size, dtype = piece["literal"]
        return joined_bytes(literals[start : start + size], dtype).astype(piece["dtype"]).tobytes()
    parts = [draw(name, drawn[name]).transpose(axes) for name, axes in piece["parts"]]
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts, piece["axis"])
    return joined.astype(piece["dtype"]).tobytes()

"""Graphs of the packaged bundle in a backend, and inputs for them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vavl_runtime.bundle import PACKAGED_BUNDLE, Bundle, open_bundle

Inputs = dict[str, NDArray[Any]]


def load(backend: Any, bundle: Bundle, *names: str) -> None:
    for name in names:
        backend.load(name, bundle.graph_file(name), bundle.manifest.graphs[name])


def tokens(count: int, path: str = "audio") -> Inputs:
    width = open_bundle(PACKAGED_BUNDLE).manifest.graphs[path].inputs[0].shape[-1]
    features = np.random.default_rng(count).standard_normal((1, count, width), np.float32)
    return {f"{path}_features": features, f"{path}_lengths": np.array([count], np.int64)}

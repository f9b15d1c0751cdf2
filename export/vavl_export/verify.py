"""Checks a finished bundle: hashes, graph rules, shared weights, and golden vectors rerun in ONNX Runtime."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import onnx
import onnxruntime as ort
from onnx import numpy_helper

from vavl_export import golden
from vavl_export.rules import check_rules
from vavl_runtime.bundle import Bundle
from vavl_runtime.errors import ExportError, VavlError

PATHS = ("audio", "visual", "audio_visual")
SHARING_LIMIT = 1.05


@dataclass(frozen=True)
class Check:
    """One check and how it went.

    Attributes:
        name: What was checked.
        passed: Whether it holds.
        detail: A figure or the reason, in one line.
    """

    name: str
    passed: bool
    detail: str


def verify_bundle(bundle: Bundle) -> Iterator[Check]:
    """Run every check; none stops the others.

    Args:
        bundle: An opened bundle.

    Yields:
        One result after the other.
    """
    yield _try("hashes of all files", partial(_hashes, bundle))
    for name in bundle.manifest.graphs:
        yield _try(f"rules {name}", partial(_rules, bundle, name))
        yield _try(f"golden {name}", partial(_golden, bundle, name))
    yield _try("weights stored once", partial(_sharing, bundle))


def _try(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except VavlError as error:
        return Check(name, False, str(error))
    except Exception as error:  # whatever a damaged graph or vector makes a library raise is a failed check
        return Check(name, False, f"{type(error).__name__}: {' '.join(str(error).split())}")


def _hashes(bundle: Bundle) -> str:
    bundle.verify_all()
    return f"{len(bundle.manifest.files)} files"


def _rules(bundle: Bundle, name: str) -> str:
    model = onnx.load(bundle.graph_file(name), load_external_data=False)
    check_rules(model, name)
    return f"opset {model.opset_import[0].version}, {len(model.graph.node)} operators"


def _golden(bundle: Bundle, name: str) -> str:
    prefix = f"{golden.FOLDER}/{name}."
    vectors = [bundle.verified_file(path) for path in bundle.manifest.files if path.startswith(prefix)]
    if not vectors:
        raise ExportError("no golden vectors in the bundle; export it again")
    graph = bundle.manifest.graphs[name]
    session = ort.InferenceSession(bundle.graph_file(name), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in graph.outputs]
    worst = 0.0
    for path in vectors:
        inputs, expected = golden.read_golden(path)
        got = dict(zip(outputs, session.run(outputs, inputs), strict=True))
        worst = max(worst, golden.check_parity(name, got, expected, golden.TOLERANCE[graph.precision]))
    return f"relative L2 error at most {worst:.1e} over {len(vectors)} inputs"


def _sharing(bundle: Bundle) -> str:
    manifest = bundle.manifest
    stored = sum(manifest.files[data].bytes for data in {manifest.graphs[path].data for path in PATHS})
    alone = weight_bytes(onnx.load(bundle.graph_file("audio_visual"), load_external_data=True))
    ratio = stored / alone
    if ratio > SHARING_LIMIT:
        raise ExportError(
            f"the weights of the three paths take {ratio:.3f} x those of the audio-visual path, "
            f"at most {SHARING_LIMIT} expected"
        )
    return f"three paths store {ratio:.3f} x the weights of the audio-visual path"


def weight_bytes(model: onnx.ModelProto) -> int:
    """Bytes of the distinct tensors of a graph: one that stands in it twice counts once."""
    distinct = {numpy_helper.to_array(tensor).tobytes() for tensor in model.graph.initializer}
    return sum(len(content) for content in distinct)

"""The checks of a finished bundle: hashes, graph rules, shared weights, golden vectors in ONNX Runtime, and drift."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import onnx
from onnx import numpy_helper

from vavl_export import golden
from vavl_export.errors import ExportError, ParityError
from vavl_export.graph_lint import lint_graph
from vavl_export.precision.corpus import CorpusDrift
from vavl_export.precision.drift import GraphDrift, measure_drift
from vavl_export.precision.report import read_report
from vavl_export.precision.sessions import open_session
from vavl_export.precision.target_device import TargetDevice, measure_on_target
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import TOLERANCE, golden_cases
from vavl_runtime.bundle.manifest import LowPrecision, Precision, RunsOn
from vavl_runtime.errors import VavlError

PATHS = ("audio", "visual", "audio_visual")
SHARING_LIMIT = 1.05  # stored bytes of the paths' weights, relative to the distinct weights
REPEATED = 1.5  # how much drift on noise may exceed the drift measured at export, as processors differ


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        passed: Whether the check passed; true if it was skipped.
        detail: A figure or the reason, in one line.
        skipped: Whether the check cannot be made here; `detail` says why.
    """

    name: str
    passed: bool
    detail: str
    skipped: bool = False


@dataclass(frozen=True)
class _Skipped:
    """Reason why a check cannot be made."""

    reason: str


def bundle_checks(bundle: Bundle) -> Iterator[Check]:
    """Run the checks that need nothing but the bundle; a failed one does not stop the others.

    Args:
        bundle: An opened bundle.

    Yields:
        One result after the other.
    """
    yield _try("hashes of all files", partial(_hashes, bundle))
    for name in bundle.manifest.graphs:
        yield _try(f"rules {name}", partial(_rules, bundle, name))
        yield _try(f"golden {name}", partial(_golden, bundle, name))
    yield _try("weights stored once", partial(_sharing, bundle, "fp32"))
    for precision in sorted({name for path in PATHS for name in bundle.manifest.graphs[path].variants}):
        yield _try(f"weights stored once {precision}", partial(_sharing, bundle, precision))
    for name, graph in bundle.manifest.graphs.items():
        for precision, variant in graph.variants.items():
            yield _try(f"rules {name} {precision}", partial(_rules, bundle, name, precision))
            for runs_on in variant.own_files:
                yield _try(f"rules {name} {precision} {runs_on}", partial(_rules, bundle, name, precision, runs_on))
            yield _try(f"drift {name} {precision}", partial(_drift, bundle, name, precision))


def target_checks(bundle: Bundle, target: TargetDevice, keep: Callable[[GraphDrift], None]) -> Iterator[Check]:
    """Compare every graph that a target runs with PyTorch, in fp32 and each variant.

    Args:
        bundle: An opened bundle.
        target: Device and backend.
        keep: Called with each drift that was measured.

    Yields:
        One result after the other; a failed one at the end if no graph could be run.
    """
    ran = 0
    for name, precision in target.listed():
        measure = partial(_on_target, bundle, target, name, precision, keep)
        check = _try(f"drift {name} {precision} on {target.title}", measure)
        ran += not check.skipped
        yield check
    if not ran:
        yield Check(f"anything on {target.title}", False, "no graph could be run")


def corpus_checks(drift: Sequence[CorpusDrift]) -> Iterator[Check]:
    """Turn drift on a corpus into checks; only drift over all lengths can fail.

    Args:
        drift: Results of `vavl_export.precision.corpus.corpus_drift`.

    Yields:
        One result after the other.
    """
    for found in drift:
        yield Check(found.name, found.passed or not found.overall, found.describe())


def _try(name: str, check: Callable[[], str | _Skipped]) -> Check:
    try:
        result = check()
    except VavlError as error:
        return Check(name, False, str(error))
    except Exception as error:  # damaged graphs and vectors make libraries raise many types
        return Check(name, False, f"{type(error).__name__}: {' '.join(str(error).split())}")
    if isinstance(result, _Skipped):
        return Check(name, True, result.reason, skipped=True)
    return Check(name, True, result)


def _hashes(bundle: Bundle) -> str:
    bundle.verify_all()
    return f"{len(bundle.manifest.files)} files"


def _rules(bundle: Bundle, name: str, precision: Precision | None = None, runs_on: RunsOn | None = None) -> str:
    model = onnx.load(bundle.graph_file(name, precision, runs_on), load_external_data=False)
    linted = lint_graph(model, name, runs_on)
    return f"opset {linted.opset}, {linted.operators} operators"


def _golden(bundle: Bundle, name: str) -> str:
    cases = golden_cases(bundle, name)
    if not cases:
        raise ExportError("no golden vectors in the bundle; export it again")
    graph = bundle.manifest.graphs[name]
    session = open_session(bundle.graph_file(name))
    outputs = [output.name for output in graph.outputs]
    worst = 0.0
    for inputs, expected in cases:
        got = dict(zip(outputs, session.run(outputs, inputs), strict=True))
        worst = max(worst, golden.check_parity(name, got, expected, TOLERANCE[graph.precision]))
    return f"relative L2 error at most {worst:.1e} over {len(cases)} inputs"


def _drift(bundle: Bundle, name: str, precision: LowPrecision) -> str:
    drift = measure_drift(bundle, name, precision, {"golden": golden_cases(bundle, name)})
    return "; ".join(_judged(bundle, found) for found in drift)


def _on_target(
    bundle: Bundle, target: TargetDevice, name: str, precision: Precision, keep: Callable[[GraphDrift], None]
) -> str | _Skipped:
    graph = target.open(name, precision)
    if isinstance(graph, str):
        return _Skipped(graph)
    found, refused = measure_on_target(bundle, graph)
    if found is None:
        return _Skipped(f"{graph.backend.info} serves no golden input: {refused[0]}")
    keep(found)
    return "; ".join([_judged(bundle, found), *(f"input skipped: {reason}" for reason in refused)])


def _judged(bundle: Bundle, found: GraphDrift) -> str:
    """Describe drift; raise if it exceeds its bound."""
    bound = found.tolerance
    if bound is None:
        bound = REPEATED * _drift_at_export(bundle, found.graph, found.precision)
    if not found.worst <= bound:
        raise ParityError(f"{found.describe()}, at most {bound:.1e} expected")
    return found.describe()


def _drift_at_export(bundle: Bundle, name: str, precision: Precision) -> float:
    """Read the drift on golden inputs that was measured at export."""
    report = read_report(bundle)
    for found in report.graphs if report is not None else ():
        if (found.graph, found.precision, found.inputs) == (name, precision, "golden"):
            return max(found.worst, TOLERANCE["fp32"])
    raise ExportError(f"no drift of {name} {precision} in the parity report; export the bundle again")


def _sharing(bundle: Bundle, precision: Precision) -> str:
    """Check that the paths share their weights in a precision; paths that stay fp32 do not count."""
    manifest = bundle.manifest
    exact = {manifest.graphs[path].data for path in PATHS} if precision != "fp32" else set()
    records = {path: manifest.graphs[path].in_precision(precision) for path in PATHS}
    lowered = [path for path, record in records.items() if record.data not in exact]
    rest = ", ".join(path for path in PATHS if path not in lowered)
    if not lowered:
        return f"{rest} stay fp32: nothing is stored"
    # The audio-visual path has the weights of all three. If it stays fp32, count the weights of the others.
    whole = ["audio_visual"] if "audio_visual" in lowered else lowered
    alone = weight_bytes(*(onnx.load(bundle.graph_file(path, precision)) for path in whole))
    ratio = sum(manifest.files[data].bytes for data in {records[path].data for path in lowered}) / alone
    stored = f"{', '.join(lowered)} store {ratio:.3f} x the weights of {' and '.join(whole)}"
    if ratio > SHARING_LIMIT:
        raise ExportError(f"{stored}, at most {SHARING_LIMIT} expected; export the bundle again")
    return stored + (f"; fp32: {rest}" if rest else "")


def weight_bytes(*models: onnx.ModelProto) -> int:
    """Count the bytes of the distinct tensors of graphs; a tensor that occurs twice counts once."""
    distinct = {numpy_helper.to_array(tensor).tobytes() for model in models for tensor in model.graph.initializer}
    return sum(len(content) for content in distinct)

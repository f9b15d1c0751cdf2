"""Reports of drift: ``parity.json``, as measured when a bundle was exported, and what `vavl-export verify` measures."""

from pydantic import BaseModel, ConfigDict, ValidationError

from vavl_export import golden
from vavl_export.precision.corpus import CorpusDrift
from vavl_export.precision.drift import GraphDrift
from vavl_export.precision.half_overflow import HalfGraph
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import Precision
from vavl_runtime.errors import ManifestError

PARITY_FILE = "parity.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class PeakRecord(_Record):
    """A tensor inside a graph and the largest magnitude it reached."""

    name: str
    peak: float


class HalfReport(_Record):
    """What kept a graph in half precision from overflowing.

    Attributes:
        graph: Name of the graph.
        precision: ``fp16`` or ``bf16``.
        limit: The largest finite value of that precision.
        worst: What comes closest to it among the tensors that are in half precision.
        islands: Tensors that would overflow, or nearly so, and stayed fp32.
    """

    graph: str
    precision: Precision
    limit: float
    worst: PeakRecord | None
    islands: tuple[PeakRecord, ...]

    @staticmethod
    def of(graph: str, precision: Precision, half: HalfGraph) -> "HalfReport":
        """Report a conversion."""
        worst = PeakRecord(name=half.worst[0], peak=half.worst[1]) if half.worst else None
        islands = tuple(PeakRecord(name=name, peak=peak) for name, peak in sorted(half.islands.items()))
        return HalfReport(graph=graph, precision=precision, limit=half.limit, worst=worst, islands=islands)


class ParityReport(_Record):
    """The whole report.

    Attributes:
        target: What measured: engine, version, provider, processor architecture.
        clips: Whether activations of real clips were watched, and not of golden inputs alone.
        tolerance: Largest relative L2 by precision.
        flips: Largest share of labels that may flip on a corpus, by precision.
        loss: Most that macro F1 or CCC may fall there, by precision.
        half: Overflow, graph by graph.
        graphs: Drift, variant by variant.
        corpus: Drift on a labelled corpus; empty if none was given.
    """

    target: str
    clips: bool
    tolerance: dict[Precision, float] = golden.TOLERANCE  # type: ignore[assignment]  # its keys are precisions
    flips: dict[Precision, float] = golden.FLIPS  # type: ignore[assignment]
    loss: dict[Precision, float] = golden.METRIC_LOSS  # type: ignore[assignment]
    half: tuple[HalfReport, ...]
    graphs: tuple[GraphDrift, ...]
    corpus: tuple[CorpusDrift, ...] = ()

    def to_bytes(self) -> bytes:
        """The content of the file."""
        return (self.model_dump_json(indent=1) + "\n").encode()


class VerifyReport(_Record):
    """What was measured beyond the checks that every bundle gets.

    Attributes:
        graphs: Drift on golden inputs on the device and backend that were named; empty without one.
        corpus: Drift on the corpus; empty without one.
    """

    graphs: tuple[GraphDrift, ...]
    corpus: tuple[CorpusDrift, ...]

    def to_bytes(self) -> bytes:
        """The content of the file."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def read_report(bundle: Bundle) -> ParityReport | None:
    """Read a bundle's report.

    Args:
        bundle: An opened bundle.

    Returns:
        The report, or None if the bundle has no variants.

    Raises:
        ManifestError: The report is damaged.
    """
    if PARITY_FILE not in bundle.manifest.files:
        return None
    place = bundle.verified_file(PARITY_FILE)
    try:
        return ParityReport.model_validate_json(place.read_bytes())
    except ValidationError as error:
        raise ManifestError(f"{place}: not a parity report ({error.errors()[0]['msg']}); export again") from error

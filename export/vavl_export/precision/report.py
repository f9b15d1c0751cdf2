"""Reports of drift: ``parity.json``, as measured at export, and what verification measures on a device or corpus."""

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from vavl_export import golden
from vavl_export.precision.corpus import CorpusDrift
from vavl_export.precision.drift import GraphDrift
from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.golden import TOLERANCE
from vavl_runtime.bundle.manifest import Precision
from vavl_runtime.errors import ManifestError

PARITY_FILE = "parity.json"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class PeakRecord(_Record):
    """A tensor inside a graph, and the largest magnitude it reached."""

    name: str
    peak: float


class HalfReport(_Record):
    """How a graph in half precision was kept from overflowing.

    Attributes:
        graph: Name of the graph.
        precision: ``fp16`` or ``bf16``.
        limit: The largest finite value of that precision.
        worst: The half-precision tensor that comes closest to the limit.
        kept_fp32: Tensors that would overflow, or nearly so, and stayed fp32. Older reports call them ``islands``.
    """

    graph: str
    precision: Precision
    limit: float
    worst: PeakRecord | None
    kept_fp32: tuple[PeakRecord, ...] = Field(validation_alias=AliasChoices("kept_fp32", "islands"))


class LaunchReport(_Record):
    """What a graph launches on a GPU with ONNX Runtime, by `vavl_export.ort_gpu.launches`.

    Attributes:
        graph: Name of the graph.
        precision: Precision of the variant.
        nodes: Operators of the file that serves everything.
        launches: Launches of one run of it.
        own_nodes: Operators of the graph as it is rewritten for ONNX Runtime on GPUs.
        own_launches: Launches of one run of it. The bundle has such a file only if there are fewer.
    """

    graph: str
    precision: Precision
    nodes: int
    launches: int
    own_nodes: int
    own_launches: int


class ParityReport(_Record):
    """``parity.json``: the drift of a bundle's variants, as measured at export.

    Attributes:
        target: What measured: backend, version, provider, processor architecture.
        clips: Whether real clips were used to look for overflow, and not golden inputs alone.
        tolerance: Largest relative L2 error by precision.
        flips: Largest share of labels that may change on a corpus, by precision.
        loss: Largest loss of macro F1 or CCC on a corpus, by precision.
        half: How overflow was avoided, by graph.
        launches: What graphs launch on a GPU with ONNX Runtime; empty without fp16, and in older reports.
        graphs: Drift by variant.
        corpus: Drift on a labelled corpus; empty without one.
    """

    target: str
    clips: bool
    tolerance: dict[Precision, float] = TOLERANCE
    flips: dict[Precision, float] = golden.FLIPS  # type: ignore[assignment]
    loss: dict[Precision, float] = golden.METRIC_LOSS  # type: ignore[assignment]
    half: tuple[HalfReport, ...]
    launches: tuple[LaunchReport, ...] = ()
    graphs: tuple[GraphDrift, ...]
    corpus: tuple[CorpusDrift, ...] = ()

    def to_bytes(self) -> bytes:
        """Serialise the report as JSON."""
        return (self.model_dump_json(indent=1) + "\n").encode()


class VerifyReport(_Record):
    """What verification measured on a device and on a corpus.

    Attributes:
        graphs: Drift on golden inputs on the named device and backend; empty without one.
        corpus: Drift on a labelled corpus; empty without one.
    """

    graphs: tuple[GraphDrift, ...]
    corpus: tuple[CorpusDrift, ...]

    def to_bytes(self) -> bytes:
        """Serialise the report as JSON."""
        return (self.model_dump_json(indent=1) + "\n").encode()


def read_report(bundle: Bundle) -> ParityReport | None:
    """Read the parity report of a bundle.

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
        raise ManifestError(
            f"{place}: not a parity report ({error.errors()[0]['msg']}); export the bundle again"
        ) from error

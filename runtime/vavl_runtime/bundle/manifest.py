"""``manifest.json``: what a bundle is, checked field by field. Documented in ``docs/bundle.md``."""

import json
from itertools import chain
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from vavl_runtime.errors import ManifestError, UnsafePathError

SCHEMA_VERSION = 1
TOKENS_PER_S = 50  # of sound
FILE_NAME = "manifest.json"
MAX_MANIFEST_BYTES = 4_000_000
MAX_LABELS = 1000
REQUIRED_GRAPHS = frozenset(
    ("audio", "visual", "audio_visual", "audio_encoder", "face_encoder", "pnet", "rnet", "onet")
)
# What the pipeline reads of other graphs: float32 outputs and their shapes; None where any size will do.
_READ: dict[str, dict[str, tuple[int | None, ...]]] = {
    "audio_encoder": {"audio_features": (None, None, None)},
    "face_encoder": {"face_features": (None, None)},
    "pnet": {"probability": (None, None, None), "offsets": (None, 4, None, None)},
    "rnet": {"probability": (None,), "offsets": (None, 4)},
    "onet": {"probability": (None,), "offsets": (None, 4), "landmarks": (None, 10)},
}
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
PathName = Literal["audio_visual", "audio", "visual"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
LowPrecision = Literal["fp16", "bf16", "int8"]
# What runs a graph, where a variant has a file of its own for it: ONNX Runtime on a CPU, or with its CUDA provider.
RunsOn = Literal["cpu", "onnxruntime_gpu"]


def safe_relative_path(path: str) -> str:
    """Check that a path stays inside the bundle.

    Args:
        path: A POSIX path from a manifest or an archive.

    Returns:
        The same path.

    Raises:
        UnsafePathError: It is absolute, empty, climbs out, or uses backslashes or control characters.
    """
    parts = PurePosixPath(path).parts
    unsafe = not parts or PurePosixPath(path).is_absolute() or ".." in parts or str(PurePosixPath(path)) != path
    if unsafe or "\\" in path or ":" in path or any(ord(character) < 32 for character in path):
        raise UnsafePathError(
            f"bundle path {path!r}: leaves the bundle or is not a plain relative path; do not use this bundle"
        )
    return path


def _printable(text: str) -> str:
    """Names are shown on terminals, where control characters would do things."""
    if not text.isprintable():
        raise ValueError(f"{text!r:.80} holds control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileRecord(_Record):
    """Size in bytes and hash of one file."""

    bytes: Annotated[int, Field(ge=0, le=1 << 40)]
    sha256: Sha256


class TensorRecord(_Record):
    """Name, element type (NumPy's) and shape of a graph's input or output; strings are free axes."""

    name: Name
    dtype: Literal["float32", "float16", "int64", "uint8"]
    shape: Annotated[tuple[Annotated[int, Field(gt=0)] | Name, ...], Field(max_length=8)]


class SpeedRecord(_Record):
    """How fast a variant is beside its fp32 graph, measured at export.

    Attributes:
        target: What ran both: engine, version, provider, processor architecture.
        machine: Its processor architecture by `platform.machine`; ``unknown`` in older manifests.
        instructions: Its instructions that matter to int8, by the Linux kernel's names, such as ``avx512_vnni``; None
            if unknown, as in older manifests.
        speedup: Time of the fp32 graph over time of the variant, on the same inputs.
        reason: Why the variant is not worth its drift there, in words; None if it is.
    """

    target: str
    machine: str = "unknown"
    instructions: tuple[str, ...] | None = None
    speedup: Annotated[float, Field(gt=0)]
    reason: str | None = None


class VariantRecord(_Record):
    """The same graph in a lower precision: names, shapes and element types of inputs and outputs are the fp32 ones.

    Attributes:
        file: Path of the ONNX file.
        data: Path of its weight file.
        cpu_file: Path of an ONNX file that computes the same and is faster on CPUs; None if ``file`` serves them, too.
        onnxruntime_gpu_file: Path of an ONNX file that computes the same in operators of ONNX Runtime, which launch
            fewer kernels on NVIDIA GPUs; None if ``file`` serves them, too. Nothing else can run it.
        speed: What it gains, or None if that was not measured.
    """

    file: str
    data: str
    cpu_file: str | None = None
    onnxruntime_gpu_file: str | None = None
    speed: SpeedRecord | None = None

    @property
    def own_files(self) -> dict[RunsOn, str]:
        """Path of the ONNX file by what it was made for; without ``file``, which serves everything else."""
        files: dict[RunsOn, str | None] = {"cpu": self.cpu_file, "onnxruntime_gpu": self.onnxruntime_gpu_file}
        return {runs_on: file for runs_on, file in files.items() if file is not None}


class GraphRecord(_Record):
    """One ONNX graph: its file, its weight file, its precision, its signature, and its lower-precision variants."""

    file: str
    data: str
    precision: Precision
    inputs: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    variants: dict[LowPrecision, VariantRecord] = {}

    def in_precision(self, precision: Precision, runs_on: RunsOn | None = None) -> "GraphRecord":
        """The record of this graph in one precision, without variants of its own.

        Args:
            precision: The graph's own precision, or that of a variant.
            runs_on: Name the file that was made for this, if there is one; None for the file that serves everything.

        Returns:
            A record with the same signature.

        Raises:
            KeyError: There is no such variant.
        """
        if precision == self.precision:
            return self.model_copy(update={"variants": {}})
        variant = self.variants[precision]  # type: ignore[index]  # a graph's own precision is none of its variants
        file = variant.own_files.get(runs_on, variant.file) if runs_on is not None else variant.file
        return self.model_copy(update={"file": file, "data": variant.data, "precision": precision, "variants": {}})


class EncoderRecord(_Record):
    """Where a feature encoder came from."""

    reference: str
    weights_sha256: Sha256
    trained: bool
    dim: Annotated[int, Field(gt=0, le=1 << 16)]


Threshold = Annotated[float, Field(ge=0.3, le=1)]


class CropRecipe(_Record):
    """How a face is found in a frame and cut out; the same at training and at run time.

    Attributes:
        size: Side of the crop in pixels.
        margin: Side of the square around the box, as a multiple of the longer side of the box, minus 1.
        detect_every: Frames from one detection to the next, at ``token_rate`` frames a second if there is one; boxes in
            between are interpolated in time.
        detect_max_side: Frames with a longer side are halved (or thirded, …) until they fit, for detection only.
        min_face: Smallest face looked for, in pixels of the frame that detection sees.
        thresholds: Face probabilities that the three stages ask for.
        factor: Ratio of neighbouring pyramid scales.
        min_probability: A face counts only from this probability on.
        token_rate: Tokens a second that the features of faces are put on by time; None for a token a face, so that
            answers depend on the frame rate.
        follow: Once a face is found, faces smaller than this share of it are searched only when it is gone; 0 always
            searches for all. Only the largest face counts, so this changes no result.
    """

    size: Literal[224] = 224
    margin: Annotated[float, Field(ge=0, le=2)] = 0.2
    detect_every: Annotated[int, Field(ge=1, le=100)] = 5
    detect_max_side: Annotated[int, Field(ge=64, le=4096)] = 640
    min_face: Annotated[int, Field(ge=12, le=4096)] = 20
    # Low thresholds let every cell of the pyramid through, each of which costs memory and time.
    thresholds: tuple[Threshold, Threshold, Threshold] = (0.6, 0.7, 0.7)
    factor: Annotated[float, Field(ge=0.3, le=0.95)] = 0.709
    min_probability: Annotated[float, Field(ge=0, le=1)] = 0.9
    follow: Annotated[float, Field(ge=0, le=1)] = 0.5
    token_rate: Annotated[float, Field(ge=1, le=125)] | None = None


class Limits(_Record):
    """Bounds that keep memory constant and absurd input out.

    Attributes:
        window_s: Longest stretch predicted in one piece; a longer clip is predicted window by window.
        minimum_samples: Shortest sound that gives a token, in samples.
        max_tokens: Longest feature sequence of a path graph.
        silence_dbfs: Speech whose peak stays below this level counts as absent; what else does, says
            `vavl_runtime.media.loudness`.
        max_frame_pixels: Largest frame that is decoded.
    """

    window_s: Annotated[float, Field(ge=1, le=60)] = 12.0
    minimum_samples: Annotated[int, Field(ge=1, le=960_000)] = 400
    max_tokens: Annotated[int, Field(ge=64, le=16_384)] = 1500
    silence_dbfs: Annotated[float, Field(ge=-200, le=0)] = -60.0
    max_frame_pixels: Annotated[int, Field(ge=1, le=200_000_000)] = 40_000_000


class Manifest(_Record):
    """The whole manifest.

    Attributes:
        schema_version: Version of this schema.
        name: Short name of the bundle.
        task: ``classification`` (probabilities) or ``regression`` (attribute scores).
        labels: Class or attribute names, in output order.
        scale: Lowest and highest attribute score.
        sample_rate: Of the waveform, Hz.
        layout: ``paper`` or ``released``; the latter runs at batch 1 only.
        weights: ``trained``, or ``untrained`` if any weight of the model or its encoders is random.
        crop: Face detection and crop recipe.
        limits: Bounds.
        encoders: ``audio``, ``face`` and ``detector``.
        graphs: Every graph by name.
        files: Every file but this one, by path.
        provenance: What made the bundle: versions, checkpoint, free text.
    """

    schema_version: int
    name: Name
    task: Literal["classification", "regression"]
    labels: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_LABELS)]
    scale: tuple[float, float]
    sample_rate: Literal[16000]
    layout: Literal["paper", "released"]
    weights: Literal["trained", "untrained"]
    crop: CropRecipe
    limits: Limits
    encoders: dict[Literal["audio", "face", "detector"], EncoderRecord]
    graphs: Annotated[dict[Name, GraphRecord], Field(max_length=100)]
    files: dict[str, FileRecord]
    provenance: Annotated[dict[str, str], Field(max_length=1000)]

    @field_validator("graphs")
    @classmethod
    def _all_paths(cls, graphs: dict[str, GraphRecord]) -> dict[str, GraphRecord]:
        if missing := REQUIRED_GRAPHS - graphs.keys():
            raise ValueError(f"graphs {sorted(missing)} are missing")
        return graphs

    @model_validator(mode="after")
    def _labels_fit(self) -> "Manifest":
        if not self.scale[0] < self.scale[1]:
            raise ValueError(f"scale is {self.scale}, expected the lowest score before the highest")
        if self.limits.window_s * TOKENS_PER_S > self.limits.max_tokens:
            raise ValueError(
                f"a window of {self.limits.window_s:g} s has more than max_tokens {self.limits.max_tokens}"
            )
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels {self.labels} are not distinct")
        for path in ("audio", "visual", "audio_visual"):
            shapes = {tensor.name: tensor.shape for tensor in self.graphs[path].outputs}
            if shapes.keys() != {"prediction", "embedding"} or shapes["prediction"][-1:] != (len(self.labels),):
                raise ValueError(
                    f"graph {path} gives {shapes}, not prediction of {len(self.labels)} labels and embedding"
                )
        for name, wanted in _READ.items():
            given = {tensor.name: tensor.shape for tensor in self.graphs[name].outputs if tensor.dtype == "float32"}
            if not all(_fits(given.get(output), shape) for output, shape in wanted.items()):
                raise ValueError(f"graph {name} gives {given}, expected float32 of the shapes {wanted}")
        return self


def _fits(given: tuple[int | str, ...] | None, wanted: tuple[int | None, ...]) -> bool:
    return (
        given is not None
        and len(given) == len(wanted)
        and all(size in (None, axis) for axis, size in zip(given, wanted, strict=True))
    )


def parse_manifest(content: bytes) -> Manifest:
    """Parse and check a manifest.

    Args:
        content: The bytes of ``manifest.json``.

    Returns:
        The manifest.

    Raises:
        ManifestError: Not JSON, another schema version, or a field that is wrong; all wrong fields are listed.
        UnsafePathError: A path leaves the bundle.
    """
    if len(content) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"{FILE_NAME}: more than {MAX_MANIFEST_BYTES} bytes, which no manifest has")
    try:
        values = json.loads(content, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"{FILE_NAME}: not JSON ({error}); the bundle is damaged, export or copy it again"
        ) from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise ManifestError(
            f"{FILE_NAME}: got schema_version {version!r}, this runtime reads {SCHEMA_VERSION}; "
            "use a matching version of vavl-edge or export the bundle again"
        )
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        listed = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:6])
        raise ManifestError(f"{FILE_NAME}: {listed}; export the bundle again") from error
    for path in manifest.files:
        safe_relative_path(path)
    for name, graph in manifest.graphs.items():
        variants = [(low.file, low.data, *low.own_files.values()) for low in graph.variants.values()]
        for path in (graph.file, graph.data, *chain.from_iterable(variants)):
            if path not in manifest.files:
                raise ManifestError(f"{FILE_NAME}: graph {name} needs {path}, which files does not list")
    return manifest


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Readers of JSON differ in which of two equal keys counts, so that one could check what another does not run."""
    values = dict(pairs)
    if len(values) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice!r:.80} stands there twice")
    return values

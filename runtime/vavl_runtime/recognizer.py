"""The one class and its one verb: clip in, answer out."""

from pathlib import Path
from types import TracebackType

from vavl_runtime.backends.base import Backend
from vavl_runtime.backends.choice import Chosen, choose_backend
from vavl_runtime.bundle import open_bundle
from vavl_runtime.bundle.manifest import Precision
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.errors import InputError, VavlError
from vavl_runtime.media import ArrayClip, Source, open_source
from vavl_runtime.pipeline.availability import Modality, Presence, Use
from vavl_runtime.pipeline.clip_reader import ModalityFaultError
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.pipeline.inference_pass import InferencePass
from vavl_runtime.result import BundleIdentity, ClipResult
from vavl_runtime.timing import StageTimer


class Recognizer:
    """Recognises emotion in clips with a bundle, by the modalities that are really there.

    Example:
        >>> from vavl_runtime import Recognizer
        >>> with Recognizer() as recognizer:  # the packaged bundle
        ...     result = recognizer.predict("examples/astronaut.mp4")
        >>> result.path
        'audio_visual'

    Args:
        bundle: Bundle folder or ``.vavl`` file; see `vavl_runtime.bundle.find_bundle` for the default.
        backend: ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt`` or ``tensorrt``; or a `Backend` of your own.
        device: ``auto`` (a GPU if one works, else the CPU), ``cpu`` or ``cuda:N``; of a ready-made backend, where it
            runs.
        threads: Threads on the CPU; all cores by default.
        precision: ``fp32``, or a variant that the bundle has (``fp16``, ``bf16``, ``int8``), or ``auto``; see
            `vavl_runtime.bundle.precision.choose_precisions`.
        stride: Every n-th frame is looked at; more than 1 is quicker, and other than what the model was trained on.
        detect_every: Frames looked at from one face detection to the next, 1 to 100; by default what the bundle says.

    Attributes:
        crop: How faces are found and cut out.
        stride: Every n-th frame is looked at.
        skipped_backends: What was tried first, and why it does not work; empty where ``device`` and ``backend`` leave
            no choice.

    Raises:
        BundleError: The bundle cannot be trusted, or has no graphs of this precision.
        BackendUnavailableError: The device or the backend is missing.
        InputError: An unknown device or backend, or a number of frames out of its range.
    """

    def __init__(
        self,
        bundle: str | Path | None = None,
        backend: str | Backend = "auto",
        *,
        device: str = "auto",
        threads: int | None = None,
        precision: PrecisionChoice = "fp32",
        stride: int = 1,
        detect_every: int | None = None,
    ) -> None:
        if stride < 1:
            raise InputError(f"stride: got {stride}, expected at least 1")
        if detect_every is not None and not 1 <= detect_every <= 100:
            raise InputError(f"detect_every: got {detect_every}, expected 1 to 100")
        opened = open_bundle(bundle)
        try:
            if isinstance(backend, str):
                chosen = choose_backend(device, backend, threads, opened, precision=precision)
            else:
                chosen = Chosen(backend, gpu=device.startswith("cuda"), skipped_backends=())
            self._graphs = GraphRunner(opened, chosen.backend, precision, gpu=chosen.gpu)
        except VavlError:
            opened.close()
            raise
        self.skipped_backends = chosen.skipped_backends
        self.manifest = opened.manifest
        self.stride = stride
        self.crop = self.manifest.crop
        if detect_every is not None:
            self.crop = self.crop.model_copy(update={"detect_every": detect_every})
        self.identity = BundleIdentity(opened.name, opened.sha256, self.manifest.weights)

    def __enter__(self) -> "Recognizer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        manifest = self.manifest
        return (
            f"Recognizer({self.identity.name!r}, {manifest.task} of {', '.join(manifest.labels)}, {manifest.weights})"
        )

    def close(self) -> None:
        """Release the graphs and what an archive unpacked."""
        self._graphs.close()

    @property
    def backend(self) -> str:
        """What really runs."""
        return self._graphs.backend.describe()

    @property
    def precisions(self) -> dict[str, Precision]:
        """Precision of every graph, by name."""
        return dict(self._graphs.precisions)

    def predict(self, clip: str | Path | ArrayClip, *, use: Use = "auto", all_paths: bool = False) -> ClipResult:
        """Answer for one clip.

        A modality that turns out to be broken (damaged, empty, oversized) is left out, with the kind of the error
        as its reason, if the other one can answer alone.

        Args:
            clip: A media file, or arrays in memory.
            use: ``auto`` takes what is there; ``audio`` or ``visual`` looks at that modality only.
            all_paths: With both modalities, give the unimodal answers too.

        Returns:
            The answer. ``path`` is None if neither modality is usable, with both reasons.

        Raises:
            InputError: The clip cannot be read, or no unbroken modality can answer.
        """
        if use not in ("auto", "audio", "visual"):
            raise InputError(f"use: got {use!r}, expected 'auto', 'audio' or 'visual'")
        timer = StageTimer()
        with timer.stage("open"):
            source = open_source(clip, self.manifest.limits, timer)
        faults: dict[Modality, InputError] = {}
        while True:
            try:
                return self._attempt(source, use, faults, timer, all_paths)
            except ModalityFaultError as fault:
                faults[fault.modality] = fault.error
                if use != "auto" or len(faults) == 2:
                    raise _combined(faults) from None

    def _attempt(
        self, source: Source, use: Use, faults: dict[Modality, InputError], timer: StageTimer, all_paths: bool
    ) -> ClipResult:
        presence = Presence(source, use, faults)
        clip_pass = InferencePass(
            self._graphs, source, presence, timer, crop=self.crop, stride=self.stride, all_paths=all_paths
        )
        clip_pass.run()
        path = clip_pass.answers.path
        if path is None and faults:
            raise _combined(faults)
        with timer.stage("post"):
            answers = clip_pass.answers.finish(self.manifest)
        return ClipResult(
            clip=source.name,
            path=path,
            answer=answers[path] if path else None,
            paths=answers if all_paths else {key: answer for key, answer in answers.items() if key == path},
            reasons=presence.reasons(path),
            faces=presence.faces,
            duration_s=clip_pass.duration_s,
            timings_ms=timer.milliseconds(),
            budget=timer.budget(),
            backend=self.backend,
            bundle=self.identity,
            all_paths=all_paths,
        )


def _combined(faults: dict[Modality, InputError]) -> InputError:
    """One error for all broken modalities, of the kind of the first."""
    errors = list(faults.values())
    return type(errors[0])("; ".join(map(str, errors)))

"""The main class: a clip goes in, a prediction comes out."""

import logging
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from vavl_runtime.arguments import check_backend, check_choice, check_whole
from vavl_runtime.backends.base import Backend, BackendInfo
from vavl_runtime.backends.choice import Chosen, choose_backend
from vavl_runtime.bundle import Bundle, open_bundle
from vavl_runtime.bundle.manifest import Precision
from vavl_runtime.bundle.precision import PrecisionChoice
from vavl_runtime.errors import InputError, VavlError
from vavl_runtime.media import ArrayClip, Clip, Source, name_of, open_source
from vavl_runtime.media.limits import ClipLimits
from vavl_runtime.pipeline.attempts import Faults, combined, without_broken
from vavl_runtime.pipeline.availability import Presence, Use
from vavl_runtime.pipeline.context import ClipContext
from vavl_runtime.pipeline.graph_runner import GraphRunner
from vavl_runtime.pipeline.inference_pass import InferencePass
from vavl_runtime.result import BundleIdentity, ClipResult
from vavl_runtime.stream_numbers import StreamNumbers
from vavl_runtime.timing import StageTimer

if TYPE_CHECKING:
    from vavl_runtime.pipeline.self_test import GraphCheck

log = logging.getLogger(__name__)


class Recognizer:
    """Recognises emotion in clips with a bundle, using every modality that is there.

    One recogniser serves any number of threads, from the first call on: graphs are loaded once, under a lock, and on
    the CPU predictions run side by side. Close it when no thread uses it any more.

    Example:
        >>> from vavl_runtime import Recognizer
        >>> with Recognizer() as recognizer:  # the packaged bundle
        ...     result = recognizer.predict("examples/astronaut.mp4")
        >>> result.path
        'audio_visual'

    Args:
        bundle: Bundle folder, ``.vavl`` file, or an opened `Bundle`, which stays yours to close; see
            `vavl_runtime.bundle.find_bundle` for the default.
        backend: ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt`` or ``tensorrt``; or a `Backend` of your own.
        device: ``auto`` (a GPU if one works, else the CPU), ``cpu`` or ``cuda:N``. A `Backend` of your own has its
            device already: leave it at ``auto``.
        threads: Threads of a graph on the CPU; all cores by default.
        precision: ``fp32``, or a variant that the bundle has (``fp16``, ``bf16``, ``int8``), or ``auto``; see
            `vavl_runtime.bundle.precision.choose_precisions`.
        stride: Process every n-th frame. Above 1 is faster but differs from training, so accuracy may drop.
        detect_every: Frames from one face detection to the next, 1 to 100; by default what the bundle says.
        clip_limits: What a clip may ask of the machine; the defaults of `ClipLimits` if None.

    Attributes:
        crop: How faces are found and cut out.
        stride: Every n-th frame is processed.
        skipped_backends: What was tried first, and why it does not work; empty where ``device`` and ``backend`` leave
            no choice.

    Raises:
        BundleError: The bundle cannot be trusted, or has no graphs of this precision.
        BackendUnavailableError: The device or the backend is missing.
        InputError: An argument of a wrong type or value, or two that contradict each other.
    """

    def __init__(
        self,
        bundle: str | Path | Bundle | None = None,
        backend: str | Backend = "auto",
        *,
        device: str = "auto",
        threads: int | None = None,
        precision: PrecisionChoice = "fp32",
        stride: int = 1,
        detect_every: int | None = None,
        clip_limits: ClipLimits | None = None,
    ) -> None:
        check_whole("stride", stride, 1, None)
        if detect_every is not None:
            check_whole("detect_every", detect_every, 1, 100)
        if not isinstance(bundle, (str, Path, Bundle, type(None))):
            raise InputError(f"bundle: got {type(bundle).__name__}, expected a path, an opened Bundle, or None")
        check_backend(backend, device, threads)
        opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
        self._owned = None if isinstance(bundle, Bundle) else opened
        try:
            if isinstance(backend, str):
                chosen = choose_backend(device, backend, threads, opened, precision=precision)
            else:
                chosen = Chosen(backend, skipped_backends=())
            self._graphs = GraphRunner(opened, chosen.backend, precision)
            self._graphs.check_files()
        except VavlError:
            self._close_bundle()
            raise
        self.skipped_backends = chosen.skipped_backends
        self.manifest = opened.manifest
        self.stride = stride
        self._clip_limits = clip_limits or ClipLimits()
        self.crop = self.manifest.crop
        if detect_every is not None:
            self.crop = self.crop.model_copy(update={"detect_every": detect_every})
        scale = self.manifest.scale if self.manifest.task == "regression" else None
        self.identity = BundleIdentity(opened.name, opened.sha256, self.manifest.weights, scale)
        log.debug("bundle %s, sha256 %s, runs on %s", opened.name, opened.sha256, self.backend)

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
        """Release the graphs, and what an archive unpacked."""
        self._graphs.close()
        self._close_bundle()

    def _close_bundle(self) -> None:
        if self._owned is not None:
            self._owned.close()

    @property
    def backend(self) -> BackendInfo:
        """What really runs the graphs; ``str()`` gives it on one line."""
        return self._graphs.backend.info

    @property
    def precisions(self) -> dict[str, Precision]:
        """Precision of every graph, by name."""
        return dict(self._graphs.precisions)

    def warm_up(self) -> None:
        """Load all graphs and run each once, so that the first clip takes no longer than the next ones.

        Raises:
            BundleError: A file of the bundle is missing or altered.
            BackendUnavailableError: The backend refuses a graph.
        """
        self._graphs.warm_up()

    def self_test(self) -> "list[GraphCheck]":
        """Run every graph on the golden vectors that were recorded at export, on the backend that is really used.

        Returns:
            How far each graph is from what PyTorch computed.

        Raises:
            BundleError: The bundle has no golden vectors, or one was altered.
            BackendUnavailableError: The backend refuses a graph, or fails.

        Example:
            >>> with Recognizer() as recognizer:
            ...     all(check.passed for check in recognizer.self_test())
            True
        """
        from vavl_runtime.pipeline.self_test import check_graphs  # a prediction does without

        return list(check_graphs(self._graphs))

    def predict(
        self, clip: Clip, *, use: Use = "auto", all_paths: bool = False, streams: StreamNumbers | None = None
    ) -> ClipResult:
        """Predict the emotion of one clip.

        A modality that turns out to be broken (damaged, empty, oversized) is left out, with the kind of the error
        as its reason, if the other one suffices.

        Args:
            clip: A media file by its path, its content as bytes, a file opened in binary mode (read to its end), or
                arrays in memory.
            use: ``auto`` takes what is there; ``audio`` or ``visual`` uses that modality only.
            all_paths: Where both modalities are there, give the predictions of the unimodal paths too.
            streams: Read these streams of the file, whatever their flags say, and whether they sound or move. What is
                None, or not given, is chosen by rules.

        Returns:
            The result. ``path`` is None if neither modality is usable; ``reasons`` says why.

        Raises:
            InputError: The clip cannot be read or has no such stream, or every modality that is there is broken.

        Example:
            >>> import numpy as np
            >>> from vavl_runtime import ArrayClip
            >>> silence = ArrayClip(audio=np.zeros(16_000, np.float32))
            >>> with Recognizer() as recognizer:
            ...     recognizer.predict(silence).reasons
            Reasons(audio='silence', visual='no_video_stream')
        """
        check_choice(use, streams)
        timer = StageTimer()
        with timer.stage("open"):
            source = open_source(clip, self.manifest.limits, timer, streams=streams, clip_limits=self._clip_limits)
        return without_broken(lambda faults: self._attempt(source, use, faults, timer, all_paths), use)

    def predict_many(
        self,
        clips: Iterable[Clip],
        *,
        use: Use = "auto",
        all_paths: bool = False,
        jobs: int | None = None,
        streams: StreamNumbers | None = None,
    ) -> Generator[ClipResult, None, None]:
        """Predict clip after clip. A clip that cannot be read gives a result with its error, and the rest goes on.

        With ``jobs``, several processes decode clips and find faces on the CPU, while this process runs the encoders
        and the paths. They are limited by ``clip_limits``, so a clip that crashes, hangs or fills memory is one failed
        clip. On a GPU, clips that wait are run together. On the CPU, give the recogniser ``threads=1``: as
        many graphs run at once as there are jobs. The answers are those without jobs. Faces that are found on the CPU
        instead of on a GPU may move by rounding.

        A program that uses jobs must start its work under ``if __name__ == "__main__":``, since processes are spawned
        and import it. They end when the iterator does: take all results, or call its ``close()``.

        Args:
            clips: Clips as in `predict`; the next one is taken when its turn comes. With jobs, some are taken before
                their turn: as many as are being read, and as many again. A path is sent to a process as it is. A file
                is read here, and its content is sent, as are bytes and arrays: they are copied.
            use: As in `predict`.
            all_paths: As in `predict`.
            jobs: Processes that read clips, at least 1; None reads them in this process, one after the other.
            streams: As in `predict`, for every clip.

        Yields:
            One result a clip, in order; `ClipResult.error` is set where the clip could not be read, or where the
            process that read it ended.

        Raises:
            InputError: An unknown ``use``, ``jobs`` below 1, or a stream of a modality that ``use`` leaves out.
            BundleError: A file of the bundle is missing or altered.
            BackendUnavailableError: The backend fails.
            WorkerLostError: A process ended while it started.
            OutputError: There is not enough shared memory for so many jobs.

        Example:
            >>> with Recognizer() as recognizer:
            ...     results = list(recognizer.predict_many(["examples/astronaut.mp4", "missing.mp4"]))
            >>> [result.error.kind if result.error else result.path for result in results]
            ['audio_visual', 'not_found']
        """
        check_choice(use, streams)
        if isinstance(clips, (str, bytes, Path, ArrayClip)):
            raise InputError(f"clips: got one {type(clips).__name__}, expected several clips; put it into a list")
        if jobs is None:
            return (self._predict_or_report(clip, use, all_paths, streams) for clip in clips)
        check_whole("jobs", jobs, 1, None)
        from vavl_runtime.serving.messages import Reading  # multiprocessing is imported only for jobs
        from vavl_runtime.serving.server import serve

        bundle = self._graphs.bundle
        reading = Reading(
            bundle.root, self.manifest, bundle.sha256, self.crop, self.stride, use, self._clip_limits, streams
        )
        return serve(iter(clips), self._graphs, self.identity, reading, all_paths=all_paths, jobs=jobs)

    def _predict_or_report(self, clip: Clip, use: Use, all_paths: bool, streams: StreamNumbers | None) -> ClipResult:
        start = time.perf_counter()
        try:
            return self.predict(clip, use=use, all_paths=all_paths, streams=streams)
        except InputError as error:
            seconds = time.perf_counter() - start
            return ClipResult.failed(name_of(clip), error, seconds, self.backend, self.identity)

    def _attempt(self, source: Source, use: Use, faults: Faults, timer: StageTimer, all_paths: bool) -> ClipResult:
        presence = Presence(source, use, faults)
        context = ClipContext(source, self.crop, self.manifest.limits, presence, timer, self.stride)
        inference = InferencePass(self._graphs, context, all_paths=all_paths)
        inference.run()
        path = inference.predictions.path
        if path is None and faults:
            raise combined(faults)
        with timer.stage("post"):
            predictions = inference.predictions.finish(self.manifest)
        return ClipResult(
            clip=source.name,
            path=path,
            prediction=predictions[path] if path else None,
            paths=predictions if all_paths else {key: value for key, value in predictions.items() if key == path},
            reasons=presence.reasons(path),
            faces=presence.faces,
            coverage=presence.coverage(inference.duration_s),
            duration_s=inference.duration_s,
            timings_ms=timer.milliseconds(),
            budget=timer.budget(),
            backend=self.backend,
            bundle=self.identity,
            all_paths=all_paths,
            notes=source.notes() + presence.notes(inference.duration_s),
            streams=source.streams(),
        )

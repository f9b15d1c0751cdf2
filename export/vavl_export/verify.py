"""Verifies a bundle: the checks that every bundle gets, and those that a device and a corpus add."""

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from vavl.corpora import Corpus
from vavl_export.checks import Check, bundle_checks, corpus_checks, target_checks
from vavl_export.precision.corpus import CorpusDrift, corpus_drift
from vavl_export.precision.drift import GraphDrift
from vavl_export.precision.report import VerifyReport
from vavl_export.precision.target_device import TargetDevice
from vavl_export.progress import Progress, silent
from vavl_runtime.bundle import Bundle, open_bundle


@dataclass(frozen=True)
class Verification:
    """The result of verifying a bundle.

    Attributes:
        checks: Every check, in the order in which it was made.
        report: The drift on the device and on the corpus.
    """

    checks: tuple[Check, ...]
    report: VerifyReport

    @property
    def passed(self) -> bool:
        """Whether no check failed; skipped checks do not count."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def skipped(self) -> tuple[Check, ...]:
        """The checks that could not be made here."""
        return tuple(check for check in self.checks if check.skipped)


def verify_bundle(
    bundle: str | Path | Bundle,
    *,
    device: str | None = None,
    backend: str | None = None,
    corpus: Corpus | None = None,
    on_check: Callable[[Check], None] | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check hashes, graph rules, weight sharing, golden vectors and drift of a bundle.

    A failed check does not stop the others. Without a device, backend or corpus, everything runs on ONNX Runtime's CPU.

    Args:
        bundle: A bundle folder, a ``.vavl`` file, or an opened bundle.
        device: ``auto``, ``cpu`` or ``cuda:N``: measure drift on this device too.
        backend: ``auto``, ``onnxruntime``, ``onnxruntime-tensorrt`` or ``tensorrt``: measure drift with it too.
        corpus: Labelled clips: measure what the variants cost there, on the device if one is named.
        on_check: Called with each check as soon as it is made.
        progress: Called with a line of text about skipped backends, and about the progress on a corpus.

    Returns:
        All checks, and the drift on the device and the corpus.

    Raises:
        BundleError: The bundle cannot be opened.
        ConfigError: The corpus does not fit the bundle.
        InputError: An unknown device or backend.
        BackendUnavailableError: The device or the backend is missing.

    Examples:
        >>> from vavl_export import verify_bundle
        >>> from vavl_runtime.bundle import PACKAGED_BUNDLE
        >>> verification = verify_bundle(PACKAGED_BUNDLE)
        >>> verification.passed
        True
        >>> verification.checks[0].name
        'hashes of all files'
    """
    checks: list[Check] = []
    graphs: list[GraphDrift] = []
    corpus_results: list[CorpusDrift] = []
    tell = progress or silent

    def add(check: Check) -> None:
        checks.append(check)
        if on_check is not None:
            on_check(check)

    with ExitStack() as stack:
        opened = stack.enter_context(nullcontext(bundle) if isinstance(bundle, Bundle) else open_bundle(bundle))
        target = None
        if device is not None or backend is not None:
            target = stack.enter_context(TargetDevice(opened, device or "auto", backend or "auto", tell))
        for check in bundle_checks(opened):
            add(check)
        if target is not None:
            for check in target_checks(opened, target, graphs.append):
                add(check)
        if corpus is not None:
            corpus_results = corpus_drift(opened, corpus, tell, target)
            for check in corpus_checks(corpus_results):
                add(check)
    return Verification(tuple(checks), VerifyReport(graphs=tuple(graphs), corpus=tuple(corpus_results)))

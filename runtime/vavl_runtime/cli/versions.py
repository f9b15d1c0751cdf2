"""What ``--version`` prints: the product, the engine that runs graphs, and the bundle."""

from collections.abc import Iterator
from pathlib import Path

from vavl_runtime._version import __version__


def version_lines(bundle: Path | None) -> Iterator[str]:
    """Name the versions that an answer depends on.

    Args:
        bundle: The bundle that the command line names; None for the default one.

    Yields:
        A line each for the product, onnxruntime and the bundle.

    Raises:
        BundleError: The bundle cannot be opened.
    """
    from vavl_runtime.backends.ort.session import import_onnxruntime
    from vavl_runtime.bundle import find_bundle, open_bundle
    from vavl_runtime.errors import BackendUnavailableError

    yield f"vavl-edge {__version__}"
    try:
        yield f"onnxruntime {import_onnxruntime().__version__}"
    except BackendUnavailableError as error:
        yield str(error)
    with open_bundle(bundle) as opened:
        yield f"bundle {opened.name}, sha256 {opened.sha256}, {opened.manifest.weights} ({find_bundle(bundle)})"

"""The errors of the runtime, and the base of all errors of this project.

    VavlError                       kind
    ├── InputError                  input               something given to us is wrong          exit 3
    │   ├── NotFoundError           not_found           no such file or folder
    │   ├── NotAFileError           not_a_file          a folder or a device where a file is needed
    │   ├── UnreadableFileError     unreadable_file     the system refuses to read it
    │   ├── EmptyFileError          empty_file          zero bytes
    │   ├── NoMediaError            no_media            a folder without a media file
    │   ├── UnsupportedMediaError   unsupported_media   not a media container, or a codec we lack
    │   ├── NoStreamsError          no_streams          neither sound nor picture inside
    │   ├── NoSuchStreamError       no_such_stream      the stream that was asked for is not there, or of another kind
    │   ├── EmptyStreamError        empty_stream        a stream without a decodable sample or frame
    │   ├── DamagedMediaError       damaged_media       decoding breaks half-way
    │   ├── OversizedMediaError     oversized_media     frames, sample rate, sound or streams beyond the limits
    │   ├── OverLimitError          over_limit          reading it takes more memory or time than its limits
    │   └── InvalidArrayError       invalid_array       in-memory input of a wrong type, shape, dtype or value
    ├── BundleError                 bundle              a bundle that cannot be trusted         exit 3
    │   ├── BundleNotFoundError     bundle_not_found    no bundle there
    │   ├── ManifestError           manifest            manifest.json is missing, malformed or of another schema
    │   ├── MissingFileError        bundle_file_missing a listed file is not there
    │   ├── AlteredFileError        bundle_file_altered size or sha256 differs from the manifest
    │   ├── UnsafeGraphError        unsafe_graph        a graph with what no exported graph holds
    │   ├── UnsafePathError         unsafe_path         a path that leaves the bundle
    │   ├── UntrustedBundleError    untrusted_bundle    a bundle that no trusted key signed
    │   └── VariantMissingError     variant_missing     the bundle has no graphs of the precision asked for
    ├── OutputError                 output              a result cannot be written              exit 3
    ├── WorkerLostError             worker_lost         a process that reads clips has ended    exit 1
    ├── MissingDependencyError      missing_dependency  an optional library is not installed    exit 4
    └── BackendUnavailableError     backend_unavailable a device or backend is missing          exit 4
        ├── EngineError             engine              a TensorRT engine is missing, damaged or of another build
        └── GraphFailedError        graph_failed        a backend that was there fails while it runs a graph

The other packages add their own: `vavl.errors`, `vavl_export.errors`, `vavl_bench.errors`. Each message says what came,
what was expected and how to mend it.
"""


class VavlError(Exception):
    """Base of the tree; ``kind`` is its stable name in JSON, ``exit_code`` what a command returns for it."""

    kind = "error"
    exit_code = 1


class InputError(VavlError):
    """Something given to us is wrong."""

    kind = "input"
    exit_code = 3


class NotFoundError(InputError):
    """No such file or folder."""

    kind = "not_found"


class NotAFileError(InputError):
    """A folder, pipe or device where a regular file is needed."""

    kind = "not_a_file"


class UnreadableFileError(InputError):
    """The operating system refuses to read the file."""

    kind = "unreadable_file"


class EmptyFileError(InputError):
    """The file has zero bytes."""

    kind = "empty_file"


class NoMediaError(InputError):
    """The folder holds no media file."""

    kind = "no_media"


class UnsupportedMediaError(InputError):
    """The file is not a media container that FFmpeg knows, or uses a codec it lacks."""

    kind = "unsupported_media"


class NoStreamsError(InputError):
    """The container holds neither a sound nor a picture stream."""

    kind = "no_streams"


class NoSuchStreamError(InputError):
    """The stream that was asked for by its number is not there, or of another kind."""

    kind = "no_such_stream"


class EmptyStreamError(InputError):
    """A stream is announced but holds no decodable sample or frame."""

    kind = "empty_stream"


class DamagedMediaError(InputError):
    """Decoding breaks half-way."""

    kind = "damaged_media"


class OversizedMediaError(InputError):
    """Frame size, sample rate, length of the sound or number of streams is beyond the limits."""

    kind = "oversized_media"


class OverLimitError(InputError):
    """Reading the clip takes more memory or time than the limits allow."""

    kind = "over_limit"


class InvalidArrayError(InputError):
    """An in-memory input has a wrong type, shape, dtype or value."""

    kind = "invalid_array"


class BundleError(VavlError):
    """The bundle cannot be trusted."""

    kind = "bundle"
    exit_code = 3


class BundleNotFoundError(BundleError):
    """There is no bundle at the given place."""

    kind = "bundle_not_found"


class ManifestError(BundleError):
    """``manifest.json`` is missing, malformed or of another schema version."""

    kind = "manifest"


class MissingFileError(BundleError):
    """A file that the manifest lists is not there."""

    kind = "bundle_file_missing"


class AlteredFileError(BundleError):
    """The size or the sha256 of a file differs from the manifest."""

    kind = "bundle_file_altered"


class UnsafePathError(BundleError):
    """A path leaves the bundle."""

    kind = "unsafe_path"


class UnsafeGraphError(BundleError):
    """A graph holds what no exported graph holds, such as loops or operators of other libraries."""

    kind = "unsafe_graph"


class UntrustedBundleError(BundleError):
    """No trusted key signed the bundle."""

    kind = "untrusted_bundle"


class VariantMissingError(BundleError):
    """The bundle has no graphs of the precision that was asked for."""

    kind = "variant_missing"


class OutputError(VavlError):
    """A result cannot be written."""

    kind = "output"
    exit_code = 3


class WorkerLostError(VavlError):
    """A process that reads clips for another one has ended, by itself or killed."""

    kind = "worker_lost"


class MissingDependencyError(VavlError):
    """A library that only some uses need is not installed; the message has the command that installs it."""

    kind = "missing_dependency"
    exit_code = 4


class BackendUnavailableError(VavlError):
    """A required device or backend is missing."""

    kind = "backend_unavailable"
    exit_code = 4


class EngineError(BackendUnavailableError):
    """A TensorRT engine is missing, damaged or built for something else."""

    kind = "engine"


class GraphFailedError(BackendUnavailableError):
    """A backend was there and fails while it runs a graph, for want of memory or because of a defect."""

    kind = "graph_failed"

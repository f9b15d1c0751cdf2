"""What the owner of the graphs and the processes that read clips tell each other. All of it can be pickled."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vavl_runtime.bundle.manifest import CropRecipe, Manifest
from vavl_runtime.errors import InputError, VavlError
from vavl_runtime.media.limits import ClipLimits
from vavl_runtime.media.open import Portable
from vavl_runtime.notes import Note
from vavl_runtime.pipeline.availability import Modality, Presence, Use
from vavl_runtime.pipeline.together import Stretch
from vavl_runtime.stream_numbers import StreamNumbers
from vavl_runtime.timing import StageBudget

# To a worker ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """How every clip is read.

    Attributes:
        root: Folder of the bundle.
        manifest: Its manifest.
        sha256: Hash of its manifest.
        crop: How faces are found and cut out.
        stride: Every n-th frame is read.
        use: Which modalities the user wants.
        limits: Bounds for each clip, and for the process that reads it.
        streams: The streams that the user names; None leaves the choice to the rules.
    """

    root: Path
    manifest: Manifest
    sha256: str
    crop: CropRecipe
    stride: int
    use: Use
    limits: ClipLimits
    streams: StreamNumbers | None = None


@dataclass(frozen=True)
class Read:
    """Read this clip now. Sent only to a worker that has nothing to do."""

    clip: Portable


@dataclass(frozen=True)
class Free:
    """A slot has been emptied."""

    slot: int


# From a worker --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The worker has started."""


@dataclass(frozen=True)
class Restart:
    """All that came of this clip is void: a modality turned out to be broken, and another pass begins."""


@dataclass(frozen=True)
class Sound:
    """A slot holds the sound of the current window: so many samples, and from when to when, seconds."""

    slot: int
    samples: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Crops:
    """A slot holds the next face crops of the current window, which were seen at these times, seconds."""

    slot: int
    times_s: tuple[float, ...]


@dataclass(frozen=True)
class WindowEnd:
    """All of the current window was sent.

    Attributes:
        picture_s: Time that its pictures cover, seconds.
        faces: Where they show a face; None if they show none.
    """

    picture_s: float
    faces: Stretch | None


@dataclass(frozen=True)
class Done:
    """All of the clip was read.

    Attributes:
        presence: Which modalities it has.
        faults: Those that turned out to be broken.
        duration_s: Length of what was read, seconds.
        budget: Where the worker's time went.
        notes: What is worth knowing about its media.
        streams: Which streams of the file were read.
        last: The worker ends now, since it holds much memory; another one takes its place.
    """

    presence: Presence
    faults: Mapping[Modality, InputError]
    duration_s: float
    budget: StageBudget
    notes: tuple[Note, ...]
    streams: StreamNumbers
    last: bool = False


@dataclass(frozen=True)
class Failed:
    """The clip cannot be read; ``last`` as in `Done`."""

    error: VavlError
    last: bool = False


@dataclass(frozen=True)
class Broken:
    """The worker met an error that is not the clip's, and ends."""

    error: BaseException


ToWorker = Read | Free
FromWorker = Ready | Restart | Sound | Crops | WindowEnd | Done | Failed | Broken

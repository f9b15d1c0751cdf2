"""All fuzzing targets by name."""

from collections.abc import Mapping
from types import MappingProxyType

from tests.fuzz.bundle_targets import ARCHIVE, GOLDEN, GRAPH, MANIFEST, SIGNATURE, WALKER, WEIGHTS
from tests.fuzz.media_target import MEDIA
from tests.fuzz.target import Target
from tests.fuzz.training_targets import CACHE, CORPUS, RELEASED

_ALL = (MEDIA, MANIFEST, ARCHIVE, WALKER, GRAPH, WEIGHTS, GOLDEN, SIGNATURE, CACHE, CORPUS, RELEASED)
TARGETS: Mapping[str, Target] = MappingProxyType({target.name: target for target in _ALL})

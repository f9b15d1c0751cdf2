"""Encoder features of a corpus: extraction, and the cache that keeps them."""

from vavl.features.cache import ClipFeatures, FeatureCache, WindowFeatures
from vavl.features.identity import CacheIdentity

__all__ = ["CacheIdentity", "ClipFeatures", "FeatureCache", "WindowFeatures"]

"""Encoder features of a corpus: extraction, and the cache that keeps them."""

from vavl.features.cache import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures

__all__ = ["CacheIdentity", "ClipFeatures", "FeatureCache", "WindowFeatures"]

"""Cached encoder features of corpora."""

from vavl.features.cache import CacheIdentity, ClipFeatures, FeatureCache, WindowFeatures

__all__ = ["CacheIdentity", "ClipFeatures", "FeatureCache", "WindowFeatures"]

"""Bundles: manifest, graphs, weights and golden vectors, checked before anything is loaded."""

from vavl_runtime.bundle.bundle import PACKAGED_BUNDLE, Bundle, find_bundle, open_bundle

__all__ = ["PACKAGED_BUNDLE", "Bundle", "find_bundle", "open_bundle"]

"""A pytest plugin for slow machines: few examples for each property, and no deadline."""

from hypothesis import settings

settings.register_profile("few", max_examples=5, deadline=None)
settings.load_profile("few")

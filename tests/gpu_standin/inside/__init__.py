"""Tests that run on the stand-in; ``tests/gpu_standin/test_on_standin.py`` starts them, each file in a process."""

"""The model on an NVIDIA GPU in fifteen minutes: what runs, whether it is right, how fast. See docs/gpu.md."""

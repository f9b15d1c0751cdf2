"""ONNX Runtime, on processors and on GPUs."""

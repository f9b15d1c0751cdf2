"""The paper-sized model on an NVIDIA GPU: ONNX Runtime and TensorRT against PyTorch, in one run. See README.md."""

"""Builds engines with TensorRT 10.3 to 11.4 or TensorRT-RTX; needs neither PyTorch nor onnx."""

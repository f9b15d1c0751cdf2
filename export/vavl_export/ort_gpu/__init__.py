"""The fp16 graphs for ONNX Runtime on NVIDIA GPUs: the same weights, in operators that launch fewer kernels."""

"""TensorRT without ONNX Runtime; imported only when it is asked for."""

"""ONNX Runtime's CUDA provider, tested without a GPU.

The real onnxruntime-gpu opens sessions on a stand-in for CUDA, in processes of their own: ``library`` is the stand-in,
``inside`` holds the tests that run on it. Partitioning, optimisation, the decision on graph capture, capture and replay
are ONNX Runtime's own. No kernel computes anything, so no test looks at values.
"""

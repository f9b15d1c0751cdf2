"""What the machine has: processor cores, GPUs and the CUDA libraries."""

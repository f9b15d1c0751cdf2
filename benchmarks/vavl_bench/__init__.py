"""Latency and throughput that can be believed: what is timed, how, on what, and how it is told."""

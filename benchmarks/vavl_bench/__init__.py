"""`vavl-bench`: measures latency, throughput, memory and energy of a bundle, and reports them."""

"""Many clips at once: processes that read clips feed the process that owns the graphs, through shared memory."""

"""Several processes: ranks of one run, workers on many tasks, memory."""

"""Several verbs in a row: the demo and sweeps over a grid of runs."""

"""The verbs `export` and `pack`: a trained model as something that works elsewhere."""

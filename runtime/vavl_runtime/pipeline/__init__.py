"""From a clip to its prediction: reading, windows, features, path, aggregation."""

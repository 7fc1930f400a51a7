"""Stage 1, probing: data with ids in, loss curves out."""

"""Stage 2, allocating: loss curves in, a trained model out."""

"""Looking at the data: what the loss curves tell of each sample's label."""

"""Building blocks of super-networks for images: layers, blocks, elastic weights, and options."""

"""What super-networks that read images are made of: layers, blocks, elastic weights, the options of their spaces."""

"""Elastic encoder-decoder Transformers for translation: modules, costs, shared weights, and beam search."""

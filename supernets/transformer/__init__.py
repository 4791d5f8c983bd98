"""The encoder-decoder of translation: its dimensions, its torch modules, its counts, its weights, and beam search."""

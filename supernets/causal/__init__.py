"""Elastic decoders made of a Hugging Face folder: models of the Llama family, from their own weights."""

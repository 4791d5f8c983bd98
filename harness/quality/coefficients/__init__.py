"""The shipped accuracy surrogates: coefficients and a model card for each super-network."""

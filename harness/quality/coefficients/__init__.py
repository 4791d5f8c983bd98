"""The shipped surrogates: per super-network its coefficients and its model card."""

"""What a search has found, written so that it can be deployed, and read back."""

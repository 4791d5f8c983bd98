"""Write sub-networks that a search has found in forms that can be deployed, and check them by reading them back."""

"""What the command line and the Python functions take where nothing is said."""

# Where measurements and studies are stored: in the working directory.
DEFAULT_STORE = "hwnas.db"

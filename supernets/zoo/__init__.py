"""The super-networks, one file each."""

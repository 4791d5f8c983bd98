"""The super-networks that hwnas ships, one file each."""

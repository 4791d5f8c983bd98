"""Search: algorithms, predictors, studies, comparisons, transfer between platforms, and their reports."""

"""Search: algorithms, predictors, studies, comparisons, transfer between platforms, and their reports.

``hwnas`` makes the package callable: ``hwnas.search(net, platform)`` is ``hwnas.api.searching.search``.
"""

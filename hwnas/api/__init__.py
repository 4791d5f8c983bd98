"""The public Python functions: they open what is named by a string, show progress, and return what shows itself.

``hwnas`` exports what is public. Files here import what is heavy inside their functions.
"""

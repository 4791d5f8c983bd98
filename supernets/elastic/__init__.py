"""Make a super-network of a trained torch model: which of its channels, heads and blocks can be left out.

The model's own graph says it. ``tracing`` records the model as a ``program.Program``, a list of calls that is plain
data; ``analysis`` follows every dimension of every tensor through it, so that channels that must shrink together are
one axis (``axes``); ``sets`` makes choices of these, ``depth`` of the blocks that can be skipped; ``importance`` says
which channels go first; ``rebuild`` makes a sub-network's module of the program; ``counts`` adds its parameters and
MACs up.
"""

"""Count the memory of sub-networks, exactly and in bytes: stored parameters, and the peak of live activations.

Both are of the deployed network: batch-norm is folded into the layer before it, and element-wise operations overwrite
an input that nothing else needs. A runtime needs more memory (code, packed copies of weights, scratch space).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy.typing as npt

from hwnas.supernets.blocks import Block, BlockMax, BlockSum, owned
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import Caches, SuperNetwork

Count = Callable[[npt.ArrayLike], FloatArray]

# Bytes of a weight or an activation.
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}

# In INT8 a bias is added to the 32-bit sum of products, and each output channel has a scale of 4 bytes.
_INT8_BIAS = 8


def model_size(net: SuperNetwork, precision: str) -> Count:
    """Return the function from vectors ``(n, n_var)`` to the bytes of the stored parameters, ``(n,)``.

    Raises:
        UsageError: the size of a parameter is not known at ``precision``.
    """
    size = _bytes(precision)
    bias = _INT8_BIAS if precision == "int8" else size

    def stored(block: Block) -> int:
        weights = block.params - block.norms - block.biases
        return size * weights + bias * block.biases

    return BlockSum(net.space, owned(net.slots), stored, per_inference=False)


def cache_size(net: SuperNetwork, precision: str, batch: int, context: int | None = None) -> Count:
    """Return the function from vectors ``(n, n_var)`` to the bytes of cached keys and values, ``(n,)``.

    Runtimes take and return them as inputs and outputs, which stay in FP32 where weights and products are INT8.

    Args:
        net: the super-network.
        precision: of the platform.
        batch: sequences at a time.
        context: positions in the cache; ``None``: those at the end of the inference that is measured.

    Raises:
        UsageError: the super-network caches nothing.
    """
    if not isinstance(net, Caches):
        raise UsageError(f"kv-cache: {net.name} caches no keys and values")
    size = _bytes("fp32" if precision == "int8" else precision)
    times = size * batch * (net.context if context is None else context)
    return BlockSum(net.space, net.slots, lambda block: times * block.cached, per_inference=False)


def peak_memory(net: SuperNetwork, precision: str, batch: int) -> Count:
    """Return the function from vectors ``(n, n_var)`` to the bytes of the largest set of live activations, ``(n,)``.

    A sub-network is a chain of blocks, and only the output of one is needed by the next. So the largest set is the
    largest one within a block, and beside it the cache of keys and values, where there is one, at its full size.

    Raises:
        UsageError: the super-network does not know the activations of its blocks, or an activation's size is not known.
    """
    size = _bytes(precision) * batch
    if not all(block.peak for slot in net.slots for block in slot.blocks if block is not None):
        raise UsageError(f"peak-memory: {net.name} does not say which activations live in its blocks; use model-size")
    within = BlockMax(net.space, net.slots, lambda block: size * block.peak)
    if not isinstance(net, Caches):
        return within
    cache = cache_size(net, precision, batch)
    return lambda X: within(X) + cache(X)


def _bytes(precision: str) -> int:
    if precision not in BYTES:
        raise UsageError(f"precision {precision!r}: its size is not known; expected one of {', '.join(BYTES)}")
    return BYTES[precision]

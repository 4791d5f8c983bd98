"""Give a call the sizes of a sub-network, where its arguments say sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from hwnas.supernets.elastic.program import Node

Shape = tuple[int, ...]


class Samples(int):
    """A size that is known when the sub-network runs: a multiple of the number of samples.

    Attributes:
        times: the multiple. Its value as a number is that of the batch that was traced.
    """

    times: int

    def __new__(cls, value: int, times: int) -> Self:
        """Return a size of ``times`` x samples, which was ``value`` when it was traced."""
        made = super().__new__(cls, value)
        made.times = times
        return made


# Of a call with the shapes that go in and come out: its target and its arguments.
Resized = tuple[str, tuple[Any, ...], dict[str, Any]]
_Change = Callable[[Node, Sequence[Shape], Sequence[Shape]], Resized]


def resized(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:
    """Return the target and the arguments of a call in a sub-network.

    Args:
        node: the call.
        given: the shapes of its tensors in the sub-network, in the order of its arguments.
        results: the shapes of its results in the sub-network.
    """
    change = _CHANGES.get(node.operator)
    return (node.target, node.args, dict(node.kwargs)) if change is None else change(node, given, results)


def _with(node: Node, place: int, value: Any) -> Resized:
    args = list(node.args)
    args[place : place + 1] = [value]
    return node.target, tuple(args), dict(node.kwargs)


def _shape(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001 - one signature for all
    return _with(node, 1, results[0])


def _reshape(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001
    """Leave the size that depends on the samples to torch."""
    return _with(node, 1, tuple(-1 if isinstance(size, Samples) else size for size in results[0]))


def _unflatten(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:
    dim = node.args[1] % len(given[0])
    return _with(node, 2, results[0][dim : dim + len(node.args[2])])


def _made(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001
    place = 1 if node.operator.startswith("new_") else 0
    return _with(node, place, results[0]) if isinstance(node.args[place], tuple | list) else _as_it_is(node)


def _as_it_is(node: Node) -> Resized:
    return node.target, node.args, dict(node.kwargs)


def _arange(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001
    return _with(node, 0, results[0][0]) if node.target == "aten.arange.default" else _as_it_is(node)


def _split(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:
    dim = node.args[2] if len(node.args) > 2 else node.kwargs.get("dim", 0)
    sizes = tuple(shape[dim] for shape in results)
    return "aten.split_with_sizes.default", (node.args[0], sizes, dim % len(given[0])), {}


def _norm(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001
    return _with(node, 1, given[0][-len(node.args[1]) :])


def _group_norm(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001
    """Keep the number of groups, unless each is one channel."""
    return _with(node, 1, given[0][1]) if node.args[1] == node.shape[1] else _as_it_is(node)


def _narrow(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001
    return _with(node, 3, results[0][node.args[1]])


def _repeat(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:
    first = given[0]
    new = len(results[0]) - len(first)
    before = [first[number - new] if number >= new else 1 for number in range(len(results[0]))]
    return _with(node, 1, tuple(_ratio(size, old) for size, old in zip(results[0], before, strict=True)))


def _ratio(size: int, old: int) -> int:
    """Return how often a dimension is repeated, which may be as often as there are samples."""
    if isinstance(size, Samples) and not isinstance(old, Samples):
        return Samples(size // old, size.times // old)
    return size // old


def _convolution(node: Node, given: Sequence[Shape], results: Sequence[Shape]) -> Resized:  # noqa: ARG001
    """Give a convolution as many groups as its weights say: depthwise, there is one per channel."""
    groups = given[0][1 - len(given[1])] // given[1][1]  # counted from the end: a single sample has no batch
    return _with(node, 6, groups) if len(node.args) > 6 else _as_it_is(node)


_CHANGES: dict[str, _Change] = {
    **dict.fromkeys(("reshape", "_unsafe_view"), _reshape),
    **dict.fromkeys(("expand", "broadcast_to"), _shape),
    "unflatten": _unflatten,
    **dict.fromkeys(("full", "zeros", "ones", "empty", "new_ones", "new_zeros", "new_full", "new_empty"), _made),
    "arange": _arange,
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split"), _split),
    **dict.fromkeys(("layer_norm", "rms_norm"), _norm),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    "group_norm": _group_norm,
    "narrow": _narrow,
    **dict.fromkeys(("repeat", "tile"), _repeat),
}

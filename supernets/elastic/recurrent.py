"""Recurrent layers of a model of one's own, as torch's operators have them: where their weights and ends are."""

from __future__ import annotations

from hwnas.supernets.elastic.program import Node, Program, Ref

# Those of all steps of a sequence, and of one step.
OPERATORS = ("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")


def weights(node: Node) -> list[Ref]:
    """Return a call's weights and biases, in their order.

    Behind the input come the states, of an LSTM two in a list; then the weights, of layers in a list, of a cell one by
    one.
    """
    if node.operator.endswith("_cell"):
        return [one for one in node.args[2:] if isinstance(one, Ref)]
    several = [one for one in node.args if isinstance(one, tuple | list) and one and isinstance(one[0], Ref)]
    return list(several[-1]) if several else []


def ends(node: Node, program: Program) -> tuple[str, str]:
    """Return the names of what goes in and of what comes out first: where nothing reads that, of what goes in again."""
    x: str = node.args[0].name
    if node.operator.endswith("_cell") and node.operator != "lstm_cell":
        return x, node.name
    first = (one.name for one in program.readers[node.name] if one.operator == "getitem" and one.args[1] == 0)
    return x, next(first, x)

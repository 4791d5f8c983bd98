"""Emit ONNX for torch's element-wise functions: arithmetic, comparisons, activations, and softmax."""

# ruff: noqa: A002, A006 - parameters carry the names that torch's callers give

from __future__ import annotations

import operator

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value, onnx_type
from hwnas.backends.export.registered import Emitter, function

Number = bool | int | float

# --- arithmetic ------------------------------------------------------------------------------------------------------


def operands(g: GraphBuilder, a: Value | Number, b: Value | Number) -> tuple[Value, Value]:
    """Return both as values of one type, by torch's rules for promotion."""
    types = [g.dtype_of(each) for each in (a, b) if isinstance(each, Value)]
    common = types[0] if len(types) == 1 else torch.promote_types(*types)
    for each in (a, b):
        if isinstance(each, float) and not common.is_floating_point:
            common = g.dtype
        if isinstance(each, int) and not isinstance(each, bool) and common == torch.bool:
            common = torch.int64
    first, second = (cast(g, x, common) if isinstance(x, Value) else g.constant(x, common) for x in (a, b))
    return first, second


def cast(g: GraphBuilder, x: Value, dtype: torch.dtype) -> Value:
    """Return ``x`` as ``dtype``."""
    return x if g.dtype_of(x) == dtype else g.op("Cast", x, rank=x.rank, dtype=dtype, to=onnx_type(dtype))


def multiplied(g: GraphBuilder, x: Value, number: Number) -> Value:
    """Return ``x`` times a number."""
    return x if number == 1 else g.like("Mul", x, g.constant(number, g.dtype_of(x)))


def _binary(kind: str, result: torch.dtype | None = None) -> Emitter:
    def emit(g: GraphBuilder, input: Value | Number, other: Value | Number) -> Value:
        a, b = operands(g, input, other)
        return g.op(kind, a, b, rank=max(g.rank(a), g.rank(b)), dtype=result or g.dtype_of(a))

    return emit


def _unary(kind: str) -> Emitter:
    return lambda g, input: g.like(kind, input)


function(operator.add, operator.iadd, torch.add, "add", "add_")(_binary("Add"))
function(operator.sub, operator.isub, torch.sub, "sub", "sub_")(_binary("Sub"))
function(operator.mul, operator.imul, torch.mul, "mul", "mul_")(_binary("Mul"))
function(torch.maximum, "maximum")(_binary("Max"))
function(torch.minimum, "minimum")(_binary("Min"))
function(operator.eq, torch.eq, "eq")(_binary("Equal", torch.bool))
function(operator.lt, torch.lt, "lt")(_binary("Less", torch.bool))
function(operator.gt, torch.gt, "gt")(_binary("Greater", torch.bool))
function(operator.le, torch.le, "le")(_binary("LessOrEqual", torch.bool))
function(operator.ge, torch.ge, "ge")(_binary("GreaterOrEqual", torch.bool))
function(operator.neg, torch.neg, "neg")(_unary("Neg"))
function(torch.exp, "exp")(_unary("Exp"))
function(torch.log, "log")(_unary("Log"))
function(torch.sqrt, "sqrt")(_unary("Sqrt"))
function(torch.abs, "abs", operator.abs)(_unary("Abs"))
function(torch.sin, "sin")(_unary("Sin"))
function(torch.cos, "cos")(_unary("Cos"))
function(torch.erf, "erf")(_unary("Erf"))


@function(operator.truediv, torch.div, torch.true_divide, "div", "true_divide")
def divide(g: GraphBuilder, input: Value | Number, other: Value | Number) -> Value:
    """Write a true division."""
    a, b = operands(g, input, other)
    if not g.dtype_of(a).is_floating_point:
        a, b = cast(g, a, g.dtype), cast(g, b, g.dtype)
    return g.op("Div", a, b, rank=max(g.rank(a), g.rank(b)), dtype=g.dtype_of(a))


@function(operator.ne, torch.ne, "ne")
def not_equal(g: GraphBuilder, input: Value | Number, other: Value | Number) -> Value:
    """Write a comparison."""
    equal: Value = _binary("Equal", torch.bool)(g, input, other)
    return g.like("Not", equal)


def _logical(kind: str) -> Emitter:
    def emit(g: GraphBuilder, *masks: Value) -> Value:
        if any(g.dtype_of(mask) != torch.bool for mask in masks):
            raise Unsupported(f"{kind} of what is not boolean")
        return g.op(kind, *masks, rank=max(map(g.rank, masks)), dtype=torch.bool)

    return emit


function(operator.and_, torch.logical_and, torch.bitwise_and, "logical_and")(_logical("And"))
function(operator.or_, torch.logical_or, torch.bitwise_or, "logical_or")(_logical("Or"))
function(operator.invert, torch.logical_not, torch.bitwise_not, "logical_not")(_logical("Not"))


@function(operator.pow, torch.pow, "pow")
def power(g: GraphBuilder, input: Value | Number, exponent: Value | Number) -> Value:
    """Write a power; a square as a product, which is faster everywhere."""
    if isinstance(input, Value) and exponent == 2:
        return g.like("Mul", input, input)
    a, b = operands(g, input, exponent)
    return g.op("Pow", a, b, rank=max(g.rank(a), g.rank(b)), dtype=g.dtype_of(a))


@function(torch.rsqrt, "rsqrt")
def rsqrt(g: GraphBuilder, input: Value) -> Value:
    """Write one over the square root."""
    return g.like("Reciprocal", g.like("Sqrt", input))


@function(torch.clamp, "clamp")
def clamp(g: GraphBuilder, input: Value, min: Number | None = None, max: Number | None = None) -> Value:
    """Write a clamping between numbers."""
    bounds = [None if bound is None else g.constant(bound, g.dtype_of(input)) for bound in (min, max)]
    return g.like("Clip", input, *bounds)


# --- activations -----------------------------------------------------------------------------------------------------

# torch's hard sigmoid is relu6(x + 3) / 6; ONNX's default slope is 0.2.
_SIXTH = 1 / 6


def activation(g: GraphBuilder, kind: str, x: Value, name: str | None = None) -> Value:
    """Write the activation that torch calls ``kind`` ("relu", "hardswish", ...).

    A hard swish stays one operator: spelled as x HardSigmoid(x) it costs a MobileNet 2 % of its time in ONNX Runtime
    and 11 % in OpenVINO, and as x Clip(x + 3, 0, 6) / 6 13 % in ONNX Runtime.
    """
    match kind:
        case "hardsigmoid":
            return g.like("HardSigmoid", x, name=name, alpha=_SIXTH, beta=0.5)
        case "relu6":
            return g.like("Clip", x, g.constant(0, g.dtype_of(x)), g.constant(6, g.dtype_of(x)), name=name)
        case "silu":
            return g.like("Mul", x, g.like("Sigmoid", x), name=name)
        case _:
            onnx = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "hardswish": "HardSwish"}[kind]
            return g.like(onnx, x, name=name)


def _activation(kind: str) -> Emitter:
    return lambda g, input, inplace=False: activation(g, kind, input)  # noqa: ARG005 - torch's signature


function(F.relu, torch.relu, "relu", "relu_")(_activation("relu"))
function(F.relu6)(_activation("relu6"))
function(F.hardswish)(_activation("hardswish"))
function(F.hardsigmoid)(_activation("hardsigmoid"))
function(F.silu)(_activation("silu"))
function(torch.sigmoid, F.sigmoid, "sigmoid")(_activation("sigmoid"))
function(torch.tanh, F.tanh, "tanh")(_activation("tanh"))


@function(F.gelu)
def gelu(g: GraphBuilder, input: Value, approximate: str = "none") -> Value:
    """Write a GELU, exact or by tanh."""
    return g.like("Gelu", input, approximate=approximate)


def _softmax(kind: str) -> Emitter:
    def emit(
        g: GraphBuilder,
        input: Value,
        dim: int | None = None,
        _stacklevel: int = 3,
        dtype: torch.dtype | None = None,
    ) -> Value:
        if dim is None:
            raise Unsupported("softmax without a dimension")
        return g.like(kind, input if dtype is None else cast(g, input, dtype), axis=dim)

    return emit


function(F.softmax, torch.softmax, "softmax")(_softmax("Softmax"))
function(F.log_softmax, torch.log_softmax, "log_softmax")(_softmax("LogSoftmax"))

"""Trace a module symbolically, and write each call into an ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map_only

from hwnas.backends.export import (  # importing them registers their emitters
    emit_arithmetic,  # noqa: F401
    emit_arrays,  # noqa: F401
    emit_aten,  # noqa: F401
    emit_aten_layers,  # noqa: F401
    emit_aten_reductions,  # noqa: F401
    emit_aten_shapes,  # noqa: F401
    emit_aten_windows,  # noqa: F401
    emit_modules,
    emit_pooling,  # noqa: F401
    emit_products,  # noqa: F401
    emit_shapes,  # noqa: F401
)
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.registered import FUNCTIONS, module_emitter


class _Tracer(fx.Tracer):
    """Does not trace into modules that have an emitter, and stores constants here instead of on the module.

    Args:
        n_inputs: how many positional inputs the module is called with; others keep their defaults.
    """

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.constants: dict[str, torch.Tensor] = {}
        self._n_inputs = n_inputs

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:  # noqa: ARG002
        inputs = (self.create_proxy("placeholder", f"input{index}", (), {}) for index in range(self._n_inputs))
        return root_fn, [self.root, *inputs]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 - torch's signature
        return module_emitter(m) is not None

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, torch.Tensor) and not isinstance(a, nn.Parameter) and a not in self.tensor_attrs:
            name = f"constant.{len(self.constants)}"
            self.constants[name] = a
            return self.create_node("get_attr", name, (), {})
        return super().create_arg(a)


class Translation(GraphBuilder):
    """Translates one module into a graph.

    Args:
        module: in evaluation mode.
        inputs: positional example inputs.
        input_names: one per input.
        dtype: of floating-point inputs, weights and constants.
        dynamic_batch: the first dimension of every input stays open.
        name: see ``GraphBuilder``.

    Raises:
        Unsupported: the module's control flow depends on its inputs' values, or it calls something without an emitter.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: Sequence[torch.Tensor],
        input_names: Sequence[str],
        dtype: torch.dtype,
        dynamic_batch: bool,
        name: str = "network",
    ) -> None:
        super().__init__(dtype, dynamic_batch, name)
        # The tracer always traces its root's forward(), so a module with an emitter must not be the root.
        self._module = module if module_emitter(module) is None else nn.Sequential(module)
        self._inputs = inputs
        self._input_names = input_names
        tracer = _Tracer(len(inputs))
        try:
            self._traced = tracer.trace(self._module)
        # The module's own code runs on proxies, and can raise anything.
        except Exception as error:
            raise Unsupported(f"{type(module).__name__} cannot be traced: {error}") from error
        self._constants = tracer.constants
        self._parts = dict(self._module.named_modules(remove_duplicate=False))
        self._norm_of = dict(_foldable(self._traced, self._parts))
        self._results: dict[fx.Node, Any] = {}
        self._meta: dict[fx.Node, Any] = {}

    def write(self) -> tuple[bytes, str, tuple[bytes, ...], tuple[str, ...]]:
        """Return the serialised model, its hash, the weights that lie beside it, and the names of its outputs."""
        placeholders = [node for node in self._traced.nodes if node.op == "placeholder"]
        for node, name, example in zip(placeholders, self._input_names, self._inputs, strict=True):
            # Reserved first, since a part of the module may have the name of an input.
            self._results[node] = Value(self._unused(name), example.dim(), self.cast_dtype(example.dtype), node)
        *calls, last = self._traced.nodes
        names = self._output_names(len(list(_flattened(last.args[0]))))
        for node in calls:
            if node not in self._results:
                self._results[node] = self._noted(node, self._translate(node))
        outputs = list(_flattened(self._resolved(last.args[0])))
        if len(names) != len(outputs):  # one of them is several
            names = self._output_names(len(outputs))
        model, found, weights = self.finish(list(self._declared_inputs()), list(zip(names, outputs, strict=True)))
        return model, found, weights, names

    def _output_names(self, count: int) -> tuple[str, ...]:
        """Return names for so many outputs, which a part of the module may have too."""
        wanted = ("output",) if count == 1 else (f"output{index}" for index in range(count))
        return tuple(map(self._unused, wanted))

    def dtype_of(self, x: Value) -> torch.dtype:
        """Return the type of ``x``."""
        return self.cast_dtype(self._meta_of(x).dtype) if x.dtype is None else x.dtype

    def shape(self, x: Value) -> tuple[int, ...]:
        """Return the shape of ``x``, from a run of the module on the meta device."""
        return tuple(self._meta_of(x).shape)

    def _declared_inputs(self) -> Iterator[tuple[str, torch.dtype, Sequence[int | str]]]:
        for name, example in zip(self._input_names, self._inputs, strict=True):
            shape: list[int | str] = list(example.shape)
            if self.dynamic_batch:
                shape[0] = "batch"
            yield name, self.cast_dtype(example.dtype), shape

    def _translate(self, node: fx.Node) -> Any:
        args, kwargs = self._resolved(node.args), self._resolved(node.kwargs)
        if node.op == "get_attr":
            return self._attribute(str(node.target))
        if node.op == "call_module":
            return self._call_module(node, args, kwargs)
        if not any(isinstance(leaf, Value) for leaf in _flattened((args, tuple(kwargs.values())))):
            return self._folded(_callable(node)(*args, **kwargs))
        known = FUNCTIONS.get(node.target)
        if known is None:
            raise Unsupported(f"no emitter for {node.op.removeprefix('call_')} {_spelled(node.target)}")
        try:
            return known(self, *args, **kwargs)
        except TypeError as error:
            raise Unsupported(f"{_spelled(node.target)}: arguments without an emitter ({error})") from error

    def _call_module(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        name = str(node.target)
        part = self._parts[name]
        if node in self._norm_of:
            norm = self._norm_of[node]
            return emit_modules.convolution(self, part, *args, norm=self._parts[norm], name=f"{name}+{norm}")
        if node.args and node.args[0] in self._norm_of:  # folded into the convolution before it
            return args[0]
        emitter = module_emitter(part)
        assert emitter is not None  # noqa: S101 - only such modules are leaves
        return emitter(self, part, *args, name=name, **kwargs)

    def _attribute(self, target: str) -> Value:
        if target in self._constants:
            return self.constant(self._constants[target], self.cast_dtype(self._constants[target].dtype))
        return self.weight(target, _attribute(self._module, target))

    def _folded(self, result: Any) -> Any:
        return self.constant(result, self.cast_dtype(result.dtype)) if isinstance(result, torch.Tensor) else result

    def _noted(self, node: fx.Node, result: Any) -> Any:
        """Remember which call a value comes from, so that its shape can be inferred."""
        if isinstance(result, Value) and result.node is None:
            return Value(result.name, result.rank, result.dtype, node)
        return result

    def _resolved(self, argument: Any) -> Any:
        return fx.map_arg(argument, lambda node: self._results[node])

    def _meta_of(self, x: Value) -> torch.Tensor:
        if x.node is None:
            raise Unsupported(f"the shape of {x.name} is not known")
        if not self._meta:
            self._meta = run_on_meta(self._traced, self._parts, self._inputs, self._tensor)
        found = self._meta[x.node]
        if not isinstance(found, torch.Tensor):
            raise Unsupported(f"{x.name} is not one tensor")
        return found

    def _tensor(self, target: str) -> torch.Tensor:
        return self._constants[target] if target in self._constants else _attribute(self._module, target)


def run_on_meta(
    graph: fx.Graph,
    parts: dict[str, nn.Module],
    inputs: Sequence[torch.Tensor],
    tensor: Callable[[str], torch.Tensor],
) -> dict[fx.Node, Any]:
    """Return each call's result on the meta device, which has shapes and types only; the module is not changed."""
    results: dict[fx.Node, Any] = {}
    given = iter(inputs)
    with torch.no_grad(), torch.device("meta"):
        for node in graph.nodes:
            if node.op == "output":
                break
            args = fx.map_arg(node.args, results.__getitem__)
            kwargs = fx.map_arg(node.kwargs, results.__getitem__)
            if node.op == "placeholder":
                results[node] = next(given).to("meta")
            elif node.op == "get_attr":
                results[node] = tensor(str(node.target)).to("meta")
            elif node.op == "call_module":
                part = parts[str(node.target)]
                state = {name: each.to("meta") for name, each in part.state_dict().items()}
                results[node] = torch.func.functional_call(part, state, args, kwargs)
            else:
                # Of what is made of numbers alone, torch's operators do not know the device of this block.
                made = _callable(node)(*args, **kwargs)
                results[node] = tree_map_only(torch.Tensor, lambda one: one.to("meta"), made)
    return results


def _foldable(graph: fx.Graph, parts: dict[str, nn.Module]) -> Iterator[tuple[fx.Node, str]]:
    """Yield each convolution whose result is used only by a batch-norm with statistics, and that batch-norm's name."""
    for node in graph.nodes:
        if node.op != "call_module" or not isinstance(parts[str(node.target)], (nn.Conv1d, nn.Conv2d)):
            continue
        readers = list(node.users)
        if len(readers) == 1 and readers[0].op == "call_module":
            norm = parts[str(readers[0].target)]
            if isinstance(norm, _BatchNorm) and norm.running_var is not None:
                yield node, str(readers[0].target)


def _callable(node: fx.Node) -> Callable[..., Any]:
    if node.op == "call_method":
        return lambda first, *args, **kwargs: getattr(first, str(node.target))(*args, **kwargs)
    assert callable(node.target)  # noqa: S101 - what call_function means
    return node.target


def _attribute(module: nn.Module, target: str) -> torch.Tensor:
    owner, _, name = target.rpartition(".")
    found = getattr(module.get_submodule(owner), name)
    if not isinstance(found, torch.Tensor):
        raise Unsupported(f"{target} is not a tensor")
    return found


def _flattened(tree: Any) -> Iterator[Any]:
    if isinstance(tree, (tuple, list)):
        for branch in tree:
            yield from _flattened(branch)
    elif isinstance(tree, dict):
        yield from _flattened(list(tree.values()))
    else:
        yield tree


def _spelled(target: Any) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", repr(target))

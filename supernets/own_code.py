"""Load a function of a user's own: ``FILE.py:FUNCTION``.

The file's content, not its name, identifies the function. What the file imports and reads is not part of that.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from traceback import walk_tb
from types import CodeType, FrameType, ModuleType
from typing import Any

from hwnas.supernets.contents import SHOWN, Content, combined
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.plug_ins import FAILURES, described
from hwnas.supernets.quoting import shortened

# The packages whose lines tell a user nothing about an error of the user's code.
_NOT_OWN = {"hwnas", "torch", *sys.stdlib_module_names}


@dataclass(frozen=True)
class OwnFunction:
    """A function of a file.

    Attributes:
        spec: ``FILE.py:FUNCTION``, as it was given.
        function: the function, or whatever else the file has under that name.
        content: of the file as it was loaded.
    """

    spec: str
    function: Any
    content: Content


def load(spec: str, what: str, error: type[UsageError] = UsageError) -> OwnFunction:
    """Run a file and return the function in it that ``FILE.py:FUNCTION`` names.

    What the file prints goes to standard error, because standard output may be a document. Its folder can be imported
    from.

    Args:
        spec: the file and the function; the last colon separates them.
        what: begins the message of an error ("python").
        error: the class to raise.

    Raises:
        UsageError: there is no such file or function, or the file cannot be run; of the class ``error``.
    """
    file, colon, name = spec.rpartition(":")
    if not colon or not file or not name:
        raise error(f"{what}: expected FILE.py:FUNCTION, got {spec!r}")
    try:
        source = Path(file).read_bytes()
    except (OSError, ValueError) as failure:  # ValueError: a null in the name
        reason = getattr(failure, "strerror", None) or failure
        raise error(f"{what}: {spec}: cannot read the file {file!r}: {reason}") from failure
    digest = hashlib.sha256(source).hexdigest()
    module = _run(file, source, digest, f"{what}: {spec}", error)
    found = getattr(module, name, None)
    if not callable(found):
        there = [key for key, one in vars(module).items() if callable(one) and not key.startswith("_")]
        problem = "no function" if found is None else "something else than a function of the name"
        raise error(f"{what}: {spec}: the file {file!r} has {problem} {name!r}{suggestion(name, there)}")
    return OwnFunction(spec, found, Content(file, digest))


def check_takes(function: Callable[..., Any], arguments: tuple[str, ...], what: str, error: type[UsageError]) -> None:
    """Raise an ``error`` that begins with ``what`` if a function cannot be called with so many arguments."""
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as failure:
        raise error(f"{what}: cannot be called with ({', '.join(arguments)}): {failure}") from failure
    except ValueError:  # a builtin without a signature: calling it will tell
        return


def explained(error: BaseException, file: str | None = None) -> str:
    """Return a text in one line about an exception of a user's function, with the place in its file.

    Args:
        error: the exception.
        file: the name of the file; ``None``: the function may lie anywhere.
    """
    where = place_of(error, file)
    return f"{shortened(described(error))}{f' ({where})' if where else ''}"


def place_of(error: BaseException, file: str | None = None) -> str:
    """Return where in a user's code an exception was raised: "model.py, line 12"; "" if that is not known.

    Args:
        error: the exception.
        file: the name of the user's file; ``None``: its code is what belongs neither to Python, nor to torch, nor to
            hwnas, whatever the names of the folders are.
    """
    frames = ((frame.f_code.co_filename, line, frame) for frame, line in walk_tb(error.__traceback__))
    own = [(path, line) for path, line, frame in frames if (_is_own(frame) if file is None else path == file)]
    return f"{Path(own[-1][0]).name}, line {own[-1][1]}" if own else ""


def _is_own(frame: FrameType) -> bool:
    root = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return root not in _NOT_OWN and not frame.f_code.co_filename.startswith("<")  # as "<frozen importlib>"


@contextlib.contextmanager
def printing_aside() -> Iterator[None]:
    """Send to standard error what is printed in this ``with`` block."""
    with contextlib.redirect_stdout(sys.stderr) if sys.stderr is not None else contextlib.nullcontext():
        yield


def code_digest(function: Callable[..., Any]) -> str:
    """Return a digest of a function's compiled code; "" for what has none, such as a builtin.

    It is the same wherever the same text is defined, and does not cover what the function calls or closes over.
    """
    plain = getattr(function, "func", function)  # a functools.partial
    plain = getattr(plain, "__func__", plain)  # a bound method
    call = vars(type(plain)).get("__call__")  # of an object that can be called
    code = getattr(plain, "__code__", None) or getattr(call, "__code__", None)
    return combined(_parts(code)) if isinstance(code, CodeType) else ""


def _parts(code: CodeType) -> list[str]:
    return [code.co_code.hex(), *code.co_names, *code.co_varnames, *(_constant(one) for one in code.co_consts)]


def _constant(value: object) -> str:
    """Return a text for a constant of compiled code, the same in every process: sets have an order of their own."""
    if isinstance(value, CodeType):
        return combined(_parts(value))
    if isinstance(value, tuple | frozenset):
        parts = [_constant(one) for one in value]
        return combined(sorted(parts) if isinstance(value, frozenset) else parts)
    return repr(value)


def _run(file: str, source: bytes, digest: str, what: str, error: type[UsageError]) -> ModuleType:
    """Return the module of a file, run once; raises ``error``, beginning with ``what``, if that fails."""
    path = Path(file).absolute()
    name = f"hwnas_own_{combined([str(path), digest])[:SHOWN]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # at the end, so that its files take no installed package's place
    sys.modules[name] = module  # dataclasses look a class's module up by its name
    try:
        with printing_aside():
            exec(compile(source, file, "exec"), vars(module))  # noqa: S102 - the user's own code, which was asked for
    except SyntaxError as failure:
        del sys.modules[name]
        where = f" (line {failure.lineno})" if failure.lineno else ""
        raise error(f"{what}: {failure.filename or file!r} is not valid Python: {failure.msg}{where}") from failure
    except FAILURES as failure:
        del sys.modules[name]
        raise error(f"{what}: the file {file!r} fails: {explained(failure, file)}") from failure
    return module

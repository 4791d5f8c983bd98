"""Functions of a user's own file: loaded, identified by what the file holds, refused in one line."""

from __future__ import annotations

import functools
import hashlib
import subprocess
import sys

import pytest

from hwnas.supernets.errors import QualityError, UsageError
from hwnas.supernets.own_code import check_takes, code_digest, explained, load


def written(folder, text, name="mine.py"):
    file = folder / name
    file.write_text(text)
    return file


def test_a_function_is_what_the_file_defines(tmp_path):
    file = written(tmp_path, "def double(x):\n    return 2 * x\n")
    found = load(f"{file}:double", "python")
    assert found.function(4) == 8
    assert found.content.name == str(file)
    assert found.content.digest == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_changed_file_is_loaded_anew_and_an_unchanged_one_is_not_run_again(tmp_path):
    file = written(tmp_path, "print('once')\ndef f():\n    return 1\n")
    first, again = load(f"{file}:f", "python"), load(f"{file}:f", "python")
    assert first.function is again.function
    written(tmp_path, "def f():\n    return 2\n")
    assert load(f"{file}:f", "python").function() == 2


def test_what_it_imports_from_beside_it_is_found_and_dataclasses_work(tmp_path):
    written(tmp_path, "VALUE = 7\n", "own_neighbour_of_a_test.py")
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport own_neighbour_of_a_test as n\n"
    )
    text += "@dataclass\nclass Pair:\n    a: int = n.VALUE\n"
    try:
        assert load(f"{written(tmp_path, text)}:Pair", "python").function().a == 7
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules["own_neighbour_of_a_test"]


def test_what_it_prints_is_no_part_of_a_document(tmp_path, capsys):
    load(f"{written(tmp_path, 'print(5)' + chr(10) + 'f = print')}:f", "python")
    assert capsys.readouterr() == ("", "5\n")


@pytest.mark.parametrize(
    ("text", "function", "said"),
    [
        (None, "f", "cannot read the file"),
        ("def other():\n    pass\n", "f", "has no function 'f' (known: other)"),
        ("def accuracy():\n    pass\n", "acuracy", "did you mean 'accuracy'?"),
        ("f = 5\n", "f", "something else than a function of the name 'f'"),
        ("def f(:\n", "f", "is not valid Python: invalid syntax (line 1)"),
        ("x = 1\nraise ValueError('two\\nlines')\n", "f", "fails: ValueError: two lines (mine.py, line 2)"),
        ("import sys\nsys.exit(3)\n", "f", "fails: SystemExit: 3 (mine.py, line 2)"),
        ("import no_such_package_at_all\n", "f", "fails: ModuleNotFoundError"),
        ("f = 1\0\n", "f", "null bytes"),
    ],
)
def test_what_cannot_be_loaded_is_refused_in_one_line_that_names_file_and_function(tmp_path, text, function, said):
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    before = set(sys.modules)
    with pytest.raises(QualityError) as refused:
        load(f"{file}:{function}", "python", QualityError)
    message = str(refused.value)
    assert said in message
    assert "\n" not in message
    assert str(file) in message
    assert function in message
    if said.startswith(("is not", "fails")):
        assert not {name for name in set(sys.modules) - before if name.startswith("hwnas_own_")}


@pytest.mark.parametrize("spec", ["", "mine.py", ":f", "mine.py:", "nul\0.py:f", f"{'long' * 100}.py:f"])
def test_what_names_no_function_is_refused(spec):
    with pytest.raises(UsageError):
        load(spec, "python")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="cannot read the file"):
        load(f"{tmp_path}:f", "python")


@pytest.mark.parametrize("function", [lambda m: 0, lambda m, c, d: 0, lambda *, m, c: 0])
def test_a_function_of_other_arguments_is_refused(function):
    with pytest.raises(UsageError, match=r"mine: cannot be called with \(module, config\): "):
        check_takes(function, ("module", "config"), "mine", UsageError)


@pytest.mark.parametrize("function", [lambda m, c: 0, lambda *a: 0, lambda m, c, d=1: 0, max])
def test_a_function_that_takes_them_is_not(function):
    check_takes(function, ("module", "config"), "mine", UsageError)


def test_the_place_of_an_exception_is_in_the_users_code(tmp_path):
    """The innermost frame is torch's, and the folders have the names of packages."""
    folder = tmp_path / "hwnas" / "torch"
    folder.mkdir(parents=True)
    (folder / "mine.py").write_text("import torch\n\ndef f():\n    return torch.nn.Linear(2, 3)(torch.zeros(5))\n")
    try:
        load(f"{folder / 'mine.py'}:f", "it").function()
    except RuntimeError as error:
        said = explained(error)
    assert said.endswith(" (mine.py, line 4)")


def test_an_exception_is_one_line_with_its_place():
    def fails():
        raise KeyError("a\nb" * 1000)

    try:
        fails()
    except KeyError as error:
        said = explained(error)
    assert said.startswith("KeyError: ")
    assert f"({__file__.rpartition('/')[2]}, line " in said
    assert len(said) < 300


# --- code ------------------------------------------------------------------------------------------------------------


def test_code_is_known_by_what_it_does_not_by_where_it_stands():
    def f(x):
        return x in {"a", "b"}

    first = f

    def f(x):
        return x in {"a", "b"}

    def other(x):
        return x in {"a", "c"}

    assert code_digest(first) == code_digest(f) != code_digest(other)


def test_every_kind_of_function_has_a_digest_of_its_code():
    class Test:
        def __call__(self, x):
            return x + 1

        def method(self, x):
            return x + 2

    digests = [code_digest(one) for one in (Test(), Test().method, functools.partial(Test().method, 1), lambda x: x)]
    assert "" not in digests
    assert digests[1] == digests[2]
    assert code_digest(len) == ""


@pytest.mark.slow
def test_a_digest_is_the_same_in_every_process():
    code = "from hwnas.supernets.own_code import code_digest\n"
    code += "print(code_digest(lambda x: x in {'a', 'bb', 'ccc', 'dddd'} or (x, frozenset('xyz'))))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
            | {"PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("0", "1", "2")
    }  # fmt: skip
    assert len(found) == 1

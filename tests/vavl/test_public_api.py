"""The names of `vavl`: one list, each importable, none of them loading PyTorch before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vavl


@pytest.mark.parametrize("name", vavl.__all__)
def test_every_name_can_be_used_and_explains_itself(name: str) -> None:
    found = getattr(vavl, name)
    assert name == "__version__" or found.__doc__


def test_the_lists_for_people_type_checkers_and_imports_are_one() -> None:
    (block,) = (node for node in ast.parse(Path(vavl.__file__).read_text("utf-8")).body if isinstance(node, ast.If))
    typed = {(node.module, name.name) for node in block.body for name in node.names}  # type: ignore[attr-defined]
    assert typed == {(module, name) for module, names in vavl._MODULES.items() for name in names}
    assert sorted(vavl.__all__) == sorted(["__version__", *(name for _, name in typed)]) == sorted(dir(vavl))


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'vavl' has no attribute 'Vavel'"):
        _ = vavl.Vavel


def test_importing_loads_nothing_heavy() -> None:
    code = "import sys, vavl; print({'torch', 'numpy', 'pydantic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

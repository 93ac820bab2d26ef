"""Messages of the library name no flags and no `seallm …`: they give options and commands as data, see `Hint`."""

import ast
import re
from pathlib import Path

import seallm_edge
from seallm_edge.cli.app import COMMANDS

PACKAGE = Path(seallm_edge.__file__).parent
LIBRARY = [*(PACKAGE.parent / "convert").rglob("*.py"), *PACKAGE.rglob("*.py")]
FACES = {PACKAGE / name for name in ("cli", "terminal", "hints.py", "native/wheel", "drafting/build.py")}
FLAGS = (
    "context|type|force|restart|imatrix|out|threads|verify|split|tensor|recipe|allow-requantize|schema|grammar|drafting"
)
SPOKEN = re.compile(rf"--({FLAGS})\b(?!-)|(?<![\w-])-o\b|\bseallm ({'|'.join(COMMANDS)})\b")


def texts(path: Path) -> list[str]:
    """String constants of a file, without its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and ast.get_docstring(node)
    }
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return [node.value for node in constants if isinstance(node.value, str)]


def test_no_message_of_the_library_speaks_the_command_line() -> None:
    files = [path for path in LIBRARY if not FACES & {path, *path.parents}]
    assert [(path.name, text) for path in files for text in texts(path) if SPOKEN.search(text)] == []


def test_the_faces_do_speak_it() -> None:
    assert SPOKEN.search("give --context 16384")
    assert SPOKEN.search("see them all: seallm models")
    assert not SPOKEN.search("pip install --force-reinstall llama-cpp-python")

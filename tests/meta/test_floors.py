"""Floors of the package: a file imports from its own folder, from earlier ones of its floor, or from lower floors."""

import ast
import re
from pathlib import Path

import pytest

import seallm_edge

PACKAGE = Path(seallm_edge.__file__).parent
ROOT = PACKAGE.parent
FACE = "__init__"
# On a floor, a room imports only from those to its left.
FLOORS = (
    ("hints", "errors", "paths"),
    (
        "text",
        "translations",
        "machine",
        "reply",
        "sampling",
        "prompt",
        "constraint",
        "gguf_file",
        "files",
        "hub",
        "documents",
    ),
    ("catalogue", "native"),
    ("plan",),
    ("drafting", "convert", "store", "tuning"),
    ("engine",),
    ("stream", "loading"),
    ("llm", FACE),
    ("chat", "quality", "speed"),
    ("terminal", "server", "llm_plugin"),
    ("cli", "frozen"),
)
ORDER = [room for floor in FLOORS for room in floor]
CONVERTER = ROOT / "convert"
# Within the converter too: a part imports only from those to its left.
CONVERT_PARTS = ("sources", "choosing", "writing", "mapping", "checking", "run", "tasks", "gguf_tasks")


def modules() -> list[tuple[str, Path]]:
    ours = [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in PACKAGE.rglob("*.py")]
    converter = [("convert", path) for path in CONVERTER.rglob("*.py")]
    return [(room, path) for room, path in ours + converter if "__pycache__" not in path.parts]


def imported(path: Path) -> set[str]:
    """What a file imports from this package, as dotted names below `seallm_edge`, wherever the import stands."""
    inside = PACKAGE if PACKAGE in path.parents else ROOT
    package = list(path.relative_to(inside).parent.parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level:
            base = package[: len(package) - node.level + 1]
        elif (node.module or "").split(".")[0] == "seallm_edge":
            base = []
        else:
            continue
        parts = [*base, *(node.module or "").removeprefix("seallm_edge").strip(".").split(".")]
        found |= {".".join(filter(None, [*parts, alias.name])) for alias in node.names}
    return found


def room_of(name: str) -> str:
    """The room of a dotted name; a name that is no room, such as `__version__`, comes from the package's face."""
    first = name.split(".")[0]
    return first if first in ORDER or first == "models" else FACE


def floor_of(room: str) -> int:
    return next(n for n, rooms in enumerate(FLOORS) if room in rooms)


def test_every_room_has_its_floor() -> None:
    assert {room for room, _ in modules()} - {FACE} == set(ORDER) - {FACE}


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(value).split("/")[-1])
def test_a_file_imports_only_from_rooms_before_its_own(room: str, path: Path) -> None:
    others = {room_of(name) for name in imported(path)} - {room, "models"}
    assert {other for other in others if ORDER.index(other) > ORDER.index(room)} == set()


def test_the_version_in_the_packages_face_counts_as_an_import_of_it() -> None:
    assert room_of("__version__") == FACE
    assert floor_of(FACE) > floor_of("hub")


@pytest.mark.parametrize("path", sorted(CONVERTER.rglob("*.py")), ids=lambda path: str(path.relative_to(CONVERTER)))
def test_a_part_of_the_converter_imports_only_from_those_before_it(path: Path) -> None:
    own = path.relative_to(CONVERTER).parts[0].removesuffix(".py")
    used = {name.split(".")[1] for name in imported(path) if name.startswith("convert.")} & set(CONVERT_PARTS)
    after = {name for name in used if own != "__init__" and CONVERT_PARTS.index(name) > CONVERT_PARTS.index(own)}
    assert after == set()


def test_the_readmes_floors_are_these() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    shown = [(int(number), [name for name in re.findall(r"`(\w+)`", row) if name in ORDER]) for number, row in rows]
    assert shown == [(number, [room for room in rooms if room != FACE]) for number, rooms in enumerate(FLOORS)]


def test_only_the_native_floor_imports_llama_cpp() -> None:
    importers = {
        room
        for room, path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "llama_cpp" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "llama_cpp")
    }
    assert importers == {"native"}


def test_the_converter_knows_no_command_line() -> None:
    sources = {path.name: path.read_text(encoding="utf-8") for path in CONVERTER.rglob("*.py")}
    knowing = [name for name, source in sources.items() if re.search(r"(?m)^\s*(import|from) (typer|rich)\b", source)]
    assert knowing == []


def test_files_stay_readable_in_one_sitting() -> None:
    long = {path.name: n for _, path in modules() if (n := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert long == {}

"""The house stands: a file imports only from its own room or from lower floors, and only `native` knows llama.cpp."""

import ast
from pathlib import Path

import pytest

import seallm_edge

PACKAGE = Path(seallm_edge.__file__).parent
ROOT = PACKAGE.parent
FLOORS = (
    {"errors", "paths"},
    {"languages", "text", "zawgyi", "prompt", "sampling", "reply", "gguf_file", "recipes", "shape"}
    | {"catalogue", "constraint", "machine", "models"},
    {"hub", "memory", "plan", "native", "drafting", "records", "tuning", "step_costs", "contest"},
    {"engine", "store", "stream", "tokens", "loading"},
    {"llm"},
    {"chat"},
    {"terminal"},
    {"cli"},
)
CONVERT_FLOOR = 3  # the converter uses floors 0 to 2
CONVERTER = ROOT / "convert"
# Within the converter too: a part uses those before it, and all of them the two that are shared.
CONVERT_FLOORS = ("sources", "choosing", "writing", "mapping", "checking", "run", "tasks", "gguf_tasks", "cli")
CONVERT_SHARED = {"encoding", "sizes"}


def floor_of(room: str) -> int:
    return CONVERT_FLOOR if room == "convert" else next(n for n, rooms in enumerate(FLOORS) if room in rooms)


def modules() -> list[tuple[str, Path]]:
    ours = [(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path) for path in PACKAGE.rglob("*.py")]
    converter = [("convert", path) for path in CONVERTER.rglob("*.py")]
    return [(room, path) for room, path in ours + converter if room != "__init__" and "__pycache__" not in path.parts]


def imported_rooms(room: str, path: Path) -> set[str]:
    """The rooms of this package that a file imports from, wherever in it the import stands."""
    inside = PACKAGE if PACKAGE in path.parents else CONVERTER.parent
    depth = len(path.relative_to(inside).parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level == depth or (node.module or "").split(".")[0] == "seallm_edge":
                parts = (node.module or "").removeprefix("seallm_edge").strip(".").split(".")
                found |= {parts[0]} if parts[0] else {alias.name for alias in node.names}
            elif 0 < node.level < depth:
                found.add(room)
    return {name for name in found if not name.startswith("__")}


@pytest.mark.parametrize(("room", "path"), modules(), ids=lambda value: str(value).split("/")[-1])
def test_a_file_imports_only_from_lower_floors(room: str, path: Path) -> None:
    upper = {other for other in imported_rooms(room, path) - {room} if floor_of(other) > floor_of(room)}
    beside = {other for other in imported_rooms(room, path) - {room} if floor_of(other) == floor_of(room)}
    assert not upper, f"{path.name} reaches up to {upper}"
    assert not (room == "convert" and beside), f"{path.name} uses {beside}"


def part_of(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("path", sorted(CONVERTER.rglob("*.py")), ids=lambda path: str(path.relative_to(CONVERTER)))
def test_a_part_of_the_converter_uses_those_before_it(path: Path) -> None:
    own = path.relative_to(CONVERTER).parts[0].removesuffix(".py")
    if own in ("__init__", *CONVERT_SHARED):
        return
    depth = len(path.relative_to(CONVERTER).parts)
    used = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            used |= {part_of(node.module)} if node.module else {alias.name for alias in node.names}
    above = {name for name in used - CONVERT_SHARED if CONVERT_FLOORS.index(name) > CONVERT_FLOORS.index(own)}
    assert not above, f"{path.name} reaches up to {above}"


def test_only_the_native_floor_imports_llama_cpp() -> None:
    importers = {
        room
        for room, path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "llama_cpp" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "llama_cpp")
    }
    assert importers == {"native"}


def test_files_stay_readable_in_one_sitting() -> None:
    long = {path.name: n for _, path in modules() if (n := len(path.read_text(encoding="utf-8").splitlines())) > 300}
    assert long == {}

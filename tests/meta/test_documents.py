"""Documents are true: commands exist, code runs with the shown output, links resolve."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import seallm_edge
from seallm_edge.cli.app import COMMANDS

ROOT = Path(seallm_edge.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
DESKTOP = (ROOT / "examples").glob("desktop*.py")  # a whole program, that waits for its user: tests/examples/
EXAMPLES = sorted(set((ROOT / "examples").glob("*.py")) - set(DESKTOP))
DEMO_LINES = [line.strip() for line in README.splitlines() if line.startswith("    $ seallm ")]


def shown_after(marker: str) -> str:
    """The indented lines that follow `marker` in the README."""
    lines = README.partition(marker)[2].lstrip("\n").splitlines()
    shown = [line[4:] for line in lines[: next(i for i, line in enumerate(lines) if not line.startswith("    "))]]
    return "\n".join(shown) + "\n"


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 200


@pytest.mark.slow
def test_the_readmes_program_prints_what_the_readme_shows() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == shown_after(f"```python\n{code}```")


@pytest.mark.parametrize("line", DEMO_LINES)
def test_the_readmes_commands_print_what_the_readme_shows(seallm, line: str) -> None:
    result = seallm(*shlex.split(line)[2:])
    assert (result.returncode, result.stdout.decode()) == (0, shown_after(line))


def test_the_readme_has_commands_to_try() -> None:
    assert DEMO_LINES


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_prints_what_its_docstring_shows(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 60
    shown = re.search(rf"\n\$ python examples/{path.name}\n(.*?)\"\"\"", source, re.DOTALL)
    assert shown, f"{path.name} does not show its command"
    expected = shown[1]
    result = subprocess.run([sys.executable, path], capture_output=True, text=True, check=True)
    assert result.stdout == expected


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_targets_that_documents_name_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r"(?:^ {4}|`)(?:\$ )?make ((?:[a-z-]+ ?)+)", text, re.MULTILINE)
    assert {target for words in named for target in words.split()} <= targets
    assert set(re.findall(r"(?:^ {4}(?:\$ )?|`)seallm ([a-z][a-z-]*)", text, re.MULTILINE)) <= set(COMMANDS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_document_is_reachable_from_the_readme() -> None:
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= set(
        re.findall(r"\]\((docs/[^)]+)\)", README)
    )

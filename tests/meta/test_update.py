"""`make docs`: outputs in documents are rewritten, and the reference in docs/commands.md is up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import seallm_edge

ROOT = Path(seallm_edge.__file__).parent.parent
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
_spec = importlib.util.spec_from_file_location("update", ROOT / "docs" / "update.py")
assert _spec
assert _spec.loader
update = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(update)


@pytest.mark.parametrize("command", update.command_names())
def test_the_reference_of_a_command_is_its_help(seallm, command: str) -> None:
    printed = seallm(*command.split(), "--help", env={"COLUMNS": "80", "TERM": "dumb"}).stdout.decode()
    _, _, usage = printed.partition(f" {command} ")  # the test's program has another name
    _, _, shown = COMMANDS_PAGE.partition(f"### seallm {command} --help\n\n```text\nUsage: seallm {command} ")
    assert shown.partition("\n```\n")[0] == usage.rstrip("\n"), "stale: run `make docs`"


def test_the_reference_has_every_command_in_the_order_of_the_table() -> None:
    headings = [line for line in COMMANDS_PAGE.splitlines() if line.startswith("### seallm ")]
    assert headings == [f"### seallm {command} --help" for command in update.command_names()]


def test_the_reference_has_the_commands_of_a_group() -> None:
    names = update.command_names()
    assert names[names.index("sessions") :][:3] == ["sessions", "sessions list", "sessions search"]


def test_the_costs_of_the_models_are_those_of_their_cards() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert update.with_reference(page, update.costs(), update.COSTS_BEGIN) == page, "stale: run `make docs`"


def test_an_updated_reference_replaces_what_stands_between_the_marks_and_nothing_else() -> None:
    page = f"before\n\n{update.BEGIN}old\n{update.END}\nafter\n"
    assert update.with_reference(page, "new") == f"before\n\n{update.BEGIN}\nnew\n{update.END}\nafter\n"


def test_blocks_run_as_one_program_and_show_what_they_print() -> None:
    blocks = "```python\na = 'now'\n```\n\ntext\n\n```python\nprint(a)\nprint()\nprint(a)\n```\n"
    page = f"{blocks}\n    then\n\n    then\n\nend\n"
    updated = update.with_block_outputs(page, update.block_outputs)
    assert updated == page.replace("    then\n\n    then\n", "    now\n\n    now\n")


def test_a_block_that_prints_for_the_first_time_gets_its_output_and_one_that_stops_loses_it() -> None:
    page = "```python\nprint(1)\n```\n\ntext\n\n```python\npass\n```\n\n    gone\n\nend\n"
    updated = update.with_block_outputs(page, update.block_outputs)
    assert updated == "```python\nprint(1)\n```\n\n    1\n\ntext\n\n```python\npass\n```\n\nend\n"


def test_a_block_without_its_library_keeps_what_is_shown() -> None:
    page = "```python\nimport no_such_library\n```\n\n    shown\n\nend\n"
    assert update.with_block_outputs(page, update.block_outputs) == page


def test_a_block_that_fails_ends_the_update_with_its_traceback() -> None:
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        update.with_block_outputs("```python\n1 / 0\n```\n", update.block_outputs)


def test_only_commands_of_the_demo_model_are_run() -> None:
    page = f"    $ seallm run {update.DEMO} Hi\n    then\n\n    $ seallm tune seallms-v3-1.5b-chat\n    kept\n"
    asked: list[str] = []
    updated = update.with_command_outputs(page, lambda command: asked.append(command) or "now\n")
    assert (updated, asked) == (page.replace("then", "now"), [f"seallm run {update.DEMO} Hi"])


def test_an_examples_docstring_shows_what_its_command_prints() -> None:
    source = '"""An example.\n\n$ python examples/a.py\nthen\n"""\n\nprint("""now""")\n'
    assert update.with_docstring_output(source, lambda command: f"{command}: now\n") == source.replace(
        "then", "python examples/a.py: now"
    )

"""Code blocks of docs/python.md, run as one program beside a small checkpoint: each prints the output below it."""

from __future__ import annotations

import dataclasses
import inspect
import shutil
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert_many
from seallm_edge.engine import EngineStats
from seallm_edge.tuning import tune
from seallm_edge.tuning.saved_settings import Tuned
from support.page_blocks import DOCS, blocks_of, outcomes_of

PAGE = (DOCS / "python.md").read_text(encoding="utf-8")
BLOCKS = blocks_of("python.md")


@pytest.fixture(scope="module")
def outcomes(shared_cache: Path, checkpoint_writer: Any, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block printed, or its traceback; the settings that tuning saves stay in this home."""
    home = tmp_path_factory.mktemp("python")
    shutil.copytree(shared_cache, home / "cache")
    write_checkpoint, sizes = checkpoint_writer
    write_checkpoint(home / "SeaLLMs-v3-1.5B-Chat", sizes())
    return outcomes_of(BLOCKS, home, home)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[code.strip().splitlines()[-1][:60] for code, _ in BLOCKS])
def test_a_block_prints_what_the_page_shows(outcomes: list[str], number: int) -> None:
    assert outcomes[number] == BLOCKS[number][1]


def rows_of(heading: str) -> set[str]:
    """Names in code style in the first column of the tables below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name.strip("` ") for cell in cells for name in cell.split(",")}


def test_every_parameter_of_convert_many_is_in_the_table() -> None:
    assert set(inspect.signature(convert_many).parameters) - {"source"} <= rows_of("Converting")


def test_every_parameter_of_tune_and_every_field_of_its_result_is_in_the_table() -> None:
    named = {*inspect.signature(tune).parameters, *(field.name for field in dataclasses.fields(Tuned))} - {"model"}
    assert named <= rows_of("Tuning")


def test_every_figure_of_the_statistics_is_in_the_table() -> None:
    assert {field.name for field in dataclasses.fields(EngineStats)} <= rows_of("Statistics")

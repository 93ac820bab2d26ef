"""Default sampling options of a model: by its card, else by its own file."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import SeaLLM
from seallm_edge.catalogue.cards import find
from seallm_edge.catalogue.sampling_defaults import file_sampling, sampling_defaults
from seallm_edge.gguf_file import read_header
from seallm_edge.sampling import Sampling
from support.tiny_model import write_tiny

Write = Callable[..., Path]
STATED = {
    "general.sampling.temp": ("float32", 0.6),
    "general.sampling.top_p": ("float32", 0.95),
    "general.sampling.top_k": ("int32", 20),
    "general.sampling.min_p": ("float32", 0.05),
    "general.sampling.penalty_repeat": ("float32", 1.1),
    "general.sampling.penalty_last_n": ("int32", 256),
}


def test_a_file_without_a_card_brings_its_own_defaults(write_gguf: Write) -> None:
    assert sampling_defaults(read_header(write_gguf(change=STATED))) == Sampling(
        temperature=0.6, top_p=0.95, top_k=20, min_p=0.05, repeat_penalty=1.1, repeat_last_n=256
    )


def test_what_a_file_does_not_state_is_the_usual(write_gguf: Write) -> None:
    change = {"general.sampling.temp": ("float32", 0.0)}
    assert sampling_defaults(read_header(write_gguf(change=change))) == Sampling(temperature=0.0)


def test_a_card_wins_over_the_file(write_gguf: Write) -> None:
    change = STATED | {"general.name": ("string", "SeaLLMs-v3-1.5B-Chat")}
    header = read_header(write_gguf(change=change, shape=find("seallms-v3-1.5b-chat").shape))
    assert sampling_defaults(header) == Sampling()


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("temp", ("float32", -1.0), "temperature is -1.0"),
        ("temp", ("float32", float("nan")), "temperature is nan"),
        ("temp", ("float32", float("inf")), "temperature is inf"),
        ("temp", ("string", "\x1b[2J"), "temperature is '\\x1b[2J'"),
        ("temp", ("bool", True), "temperature is True"),
        ("top_p", ("float32", 1.5), "top_p is 1.5"),
        ("top_k", ("int32", -1), "top_k is -1"),
        ("top_k", ("float32", 20.0), "top_k is 20.0"),
        ("min_p", ("float32", 2.0), "min_p is 2.0"),
        ("penalty_repeat", ("float32", 0.0), "repeat_penalty is 0.0"),
        ("penalty_last_n", ("int32", -1), "repeat_last_n is -1"),
    ],
)
def test_strange_values_are_logged_and_left_out(
    key: str, value: tuple[str, Any], problem: str, write_gguf: Write, caplog: pytest.LogCaptureFixture
) -> None:
    header = read_header(write_gguf(change=STATED | {f"general.sampling.{key}": value}))
    with caplog.at_level(logging.WARNING, "seallm_edge"):
        found = file_sampling(header)
    assert len(found) == len(STATED) - 1
    assert caplog.messages == [f"tiny.gguf: general.sampling.{key} is ignored: {problem}"]


def test_an_array_is_left_out(write_gguf: Write) -> None:
    assert file_sampling(read_header(write_gguf(change={"general.sampling.temp": ("float32[]", [0.5])}))) == {}


def test_a_loaded_model_samples_as_its_file_says(tmp_path: Path) -> None:
    write_tiny(tmp_path / "m.gguf", temperature=0.25)
    with SeaLLM(tmp_path / "m.gguf", context=256, drafting="off") as llm:
        assert llm.sampling == Sampling(temperature=0.25)

"""Split models: found, checked part by part, listed as one, and run by the real llama.cpp."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import SeaLLM
from seallm_edge.errors import ModelFileError
from seallm_edge.gguf_file import Header, encode, read_header
from seallm_edge.gguf_file.types import padded
from seallm_edge.machine import Machine
from seallm_edge.plan import make_plan
from seallm_edge.store import installed, locate

WriteGguf = Callable[..., Path]
MATRIX, VECTOR = ("a.weight", (64, 8), 1), ("b.weight", (64,), 0)


class Split:
    """A tiny model in three parts, of which a test may get any wrong."""

    def __init__(self, write: WriteGguf) -> None:
        self._write = write
        self._keys = read_header(write("whole.gguf")).metadata
        self.first = self.part(1, [MATRIX], {"split.tensors.count": ("int32", 3)})
        self.part(2, [VECTOR])
        self.part(3, [("c.weight", (32, 4), 0)])

    def part(self, number: int, tensors: list[Any], change: dict[str, Any] | None = None) -> Path:
        """Write part `number`, from 1; those after the first, as usual, with no metadata but their number."""
        keys = {"split.no": ("uint16", number - 1), "split.count": ("uint16", 3), **(change or {})}
        without = {} if number == 1 else dict.fromkeys(self._keys)
        return self._write(f"m-0000{number}-of-00003.gguf", tensors=tensors, change=without | keys)


@pytest.fixture
def split(write_gguf: WriteGguf) -> Split:
    return Split(write_gguf)


def refusal(path: Path) -> tuple[str, str]:
    """(file at fault, what is wrong with it)."""
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    return caught.value.path.name, caught.value.problem


def test_header_of_the_first_part_speaks_for_all(split: Split) -> None:
    header = read_header(split.first)

    assert [path.name for path in header.parts] == [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert [(t.name, t.part, t.n_bytes) for t in header.tensors] == [
        ("a.weight", 0, 1024),
        ("b.weight", 1, 256),
        ("c.weight", 2, 512),
    ]
    assert header.tensor_bytes == 1024 + 256 + 512
    assert header.file_size == sum(path.stat().st_size for path in header.parts)
    assert (header.path, header.n_splits) == (split.first, 3)
    assert header.array("tokenizer.ggml.tokens")[:2] == ["<|endoftext|>", "<|im_start|>"]


def test_first_part_may_hold_no_tensors(split: Split) -> None:
    split.part(1, [], {"split.tensors.count": ("int32", 2)})
    assert [tensor.part for tensor in read_header(split.first).tensors] == [1, 2]


def test_missing_part_is_named(split: Split) -> None:
    split.first.with_name("m-00003-of-00003.gguf").unlink()
    assert refusal(split.first) == ("m-00003-of-00003.gguf", "no such file, and it is part 3 of 3 of the model")


def test_later_part_is_refused_with_the_name_of_the_first(split: Split) -> None:
    with pytest.raises(ModelFileError) as caught:
        read_header(split.first.with_name("m-00002-of-00003.gguf"))
    assert str(caught.value) == (
        "m-00002-of-00003.gguf: is part 2 of 3 of a model\n  name the first part: m-00001-of-00003.gguf"
    )


@pytest.mark.parametrize("name", ["m.gguf", "m-00001-of-00004.gguf", "m-00001-of-00003.GGUF"])
def test_first_part_under_another_name_is_refused_with_the_right_one(split: Split, name: str) -> None:
    path = split.first.rename(split.first.with_name(name))
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    assert caught.value.problem == "is the first of 3 parts of a model, but its name does not say so"
    assert str(caught.value.hint).endswith("-00001-of-00003.gguf, and the other parts likewise")


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"split.no": ("uint16", 2)}, "says it is part 3 of 3, but stands for part 2 of 3"),
        ({"split.count": ("uint16", 4)}, "says it is part 2 of 4, but stands for part 2 of 3"),
        # llama.cpp asserts the type of this key, and dies
        ({"split.no": ("uint32", 1)}, "does not say which of 3 parts it is (split.no, a uint16)"),
        ({"split.no": None}, "does not say which of 3 parts it is (split.no, a uint16)"),
        (
            {"general.architecture": ("string", "llama")},
            "is of another model than m-00001-of-00003.gguf: its general.architecture is 'llama', not 'qwen2'",
        ),
        (
            {"tokenizer.ggml.merges": ("string[]", ["a b"])},
            "is of another model than m-00001-of-00003.gguf: its tokenizer.ggml.merges is 1, not 2",
        ),
    ],
)
def test_part_that_says_it_is_another_is_named(split: Split, part: dict[str, Any], problem: str) -> None:
    split.part(2, [VECTOR], part)
    assert refusal(split.first) == ("m-00002-of-00003.gguf", problem)


def test_tensor_in_two_parts_is_refused(split: Split) -> None:
    split.part(3, [VECTOR])
    problem = "tensor 'b.weight' is in m-00002-of-00003.gguf too"
    assert refusal(split.first) == ("m-00003-of-00003.gguf", problem)


def test_parts_that_hold_fewer_tensors_than_the_first_says_are_refused(split: Split) -> None:
    split.part(1, [MATRIX], {"split.tensors.count": ("int32", 4)})
    problem = "speaks of 4 tensors (split.tensors.count), but its 3 parts hold 3"
    assert refusal(split.first) == ("m-00001-of-00003.gguf", problem)


def test_damage_in_a_later_part_is_found(split: Split) -> None:
    path = split.part(2, [VECTOR])
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 8)
    problem = "cut short: tensor 'b.weight' ends 8 bytes past the end of the file"
    assert refusal(split.first) == ("m-00002-of-00003.gguf", problem)


def test_tensor_that_cannot_be_run_is_found_in_a_later_part(split: Split) -> None:
    split.part(2, [("b.weight", (64,), 1)])
    assert refusal(split.first)[1] == "tensor 'b.weight' is of type F16; a vector must be F32"


def test_plan_counts_the_weights_of_all_parts(split: Split) -> None:
    machine = Machine("", "", 4, 4, 8, 4, (), 8 << 30, 8 << 30, "")
    assert make_plan(read_header(split.first), machine).weights_bytes == 1024 + 256 + 512


def test_store_lists_the_parts_as_one_model_of_their_size(home: Path, demo_file: Path) -> None:
    folder = home / "models"
    folder.mkdir()
    for number in (1, 2, 3):
        (folder / f"SeaLLMs-v3-7B-Chat-Q4_K_M-0000{number}-of-00003.gguf").write_bytes(bytes(10**number))
    first = installed()[0]

    assert [entry.name for entry in installed()] == ["SeaLLMs-v3-7B-Chat-Q4_K_M", demo_file.stem]
    assert (first.size, first.type_name, first.card and first.card.name) == (1110, "Q4_K_M", "seallms-v3-7b-chat")
    for name in ("seallms-v3-7b-chat", "SeaLLMs-v3-7B-Chat-Q4_K_M", "seallms-v3-7b-chat-q4_k_m-00001-of-00003"):
        assert locate(name) == folder / "SeaLLMs-v3-7B-Chat-Q4_K_M-00001-of-00003.gguf"


@pytest.fixture(scope="session")
def split_demo(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model in three files."""
    whole, folder = read_header(demo_file), tmp_path_factory.mktemp("split")
    numbers = {"split.count": encode.u16(3), "split.tensors.count": encode.i32(len(whole.tensors))}
    for number in range(3):
        tensors = whole.tensors[number * 91 : (number + 1) * 91]
        entries = [(t.name, t.shape[::-1], t.type, t.offset - tensors[0].offset) for t in tensors]
        metadata = {**({} if number else whole.encoded()), "split.no": encode.u16(number), **numbers}
        begin, end = tensors[0].offset, tensors[-1].offset + padded(tensors[-1].n_bytes)
        part = folder / f"demo-0000{number + 1}-of-00003.gguf"
        part.write_bytes(encode.header(metadata, entries) + demo_file.read_bytes()[begin:end])
    return folder / "demo-00001-of-00003.gguf"


def test_split_demo_has_the_tensors_of_the_whole(split_demo: Path, demo_file: Path) -> None:
    def facts(header: Header) -> list[tuple[Any, ...]]:
        return [(t.name, t.shape, t.type_name, t.n_bytes) for t in header.tensors]

    assert facts(read_header(split_demo)) == facts(read_header(demo_file))


def test_split_model_replies_as_the_whole_one_does(split_demo: Path, llm: SeaLLM) -> None:
    question = {"prompt": "Say hello.", "temperature": 0.0, "max_tokens": 8}
    with SeaLLM(split_demo, context=512) as split:
        assert split.chat(**question).text == llm.chat(**question).text != ""

"""Importance matrices: values of good files, and refusals of bad ones."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.convert.choosing.imatrix import Importance, read_imatrix
from seallm_edge.errors import ConversionError, InvalidOption
from seallm_edge.gguf_file import encode
from support import imatrix_files

SUMS = np.array([[3.0, 1.0, 0.0, 2.5]], np.float32)
NAME = "blk.0.attn_q.weight"
DENSE = {NAME: (SUMS, np.array([7.0], np.float32))}


def refusal(path: Path) -> str:
    with pytest.raises(InvalidOption) as caught:
        read_imatrix(path)
    assert caught.value.hint
    return caught.value.message


def importance(name: str = "m.gguf", **changes: Any) -> Importance:
    values = {NAME: np.ones(4, np.float32), "token_embd.weight": np.ones(4, np.float32)}
    return Importance(**({"path": Path(name), "values": values, "datasets": ("t.txt",), "chunks": 7} | changes))


def test_a_gguf_gives_sums_by_counts_in_single_precision(tmp_path: Path) -> None:
    read = read_imatrix(imatrix_files.write_gguf(tmp_path / "m.gguf", DENSE))
    assert read.values[NAME].tobytes() == (SUMS[0] / np.float32(7)).tobytes()
    assert (read.path.name, read.datasets, read.chunks, read.entries) == ("m.gguf", ("text.txt",), 7, 1)


def test_each_expert_has_its_own_count_and_ones_where_it_had_no_turn(tmp_path: Path) -> None:
    sums = np.array([[3, 6], [5, 7], [9, 3]], np.float32)
    entries = {NAME: (sums, np.array([3, 0, 2], np.float32))}
    read = read_imatrix(imatrix_files.write_gguf(tmp_path / "m.gguf", entries))
    assert read.values[NAME].tolist() == [1.0, 2.0, 1.0, 1.0, 4.5, 1.5]


@pytest.mark.parametrize(
    ("count", "divisor"), [(0.4, None), (0.5, 1), (1.5, 2), (2.5, 3), (2.49, 2), (16777217, 2**24)]
)
def test_counts_are_rounded_as_llama_cpp_rounds_them(count: float, divisor: int | None, tmp_path: Path) -> None:
    entries = {NAME: (SUMS, np.array([count], np.float32))}
    read = read_imatrix(imatrix_files.write_gguf(tmp_path / "m.gguf", entries))
    assert read.values[NAME].tolist() == ((SUMS[0] / np.float32(divisor)).tolist() if divisor else [1.0] * 4)


def test_a_dat_gives_values_by_calls_in_single_precision(tmp_path: Path) -> None:
    read = read_imatrix(imatrix_files.write_dat(tmp_path / "m.dat", {"b": (7, SUMS[0]), "a": (0, SUMS[0])}))
    assert list(read.values) == ["a", "b"]
    assert read.values["a"].tobytes() == SUMS[0].tobytes()
    assert read.values["b"].tobytes() == (SUMS[0] / np.float32(7)).tobytes()
    assert (read.datasets, read.chunks) == (("text.txt",), 7)


@pytest.mark.parametrize(
    ("trailer", "chunks", "datasets"),
    [
        (b"", 0, ()),
        (struct.pack("<i", 9), 9, ()),
        (struct.pack("<ii", 9, 0), 9, ()),
        (struct.pack("<ii", -1, 3) + b"a\0b", 0, ("a",)),
    ],
)
def test_a_dat_may_end_early(trailer: bytes, chunks: int, datasets: tuple[str, ...], tmp_path: Path) -> None:
    read = read_imatrix(imatrix_files.write_dat(tmp_path / "m.dat", {"a": (1, SUMS[0])}, trailer))
    assert (read.chunks, read.datasets) == (chunks, datasets)


def test_other_tensors_of_a_gguf_are_passed_over(tmp_path: Path) -> None:
    path = imatrix_files.write_gguf(tmp_path / "m.gguf", DENSE, other=np.ones((2, 2), np.float16))
    assert list(read_imatrix(path).values) == [NAME]


@pytest.mark.parametrize(
    ("entries", "more", "problem"),
    [
        ({NAME: (SUMS, np.zeros(3, np.float32))}, {}, f"{NAME}: 3 counts do not go with 4 values"),
        (
            {NAME: (SUMS, np.full(1, 3e9, np.float32))},
            {},
            f"{NAME}.counts holds 3,000,000,000, more than 2,147,483,647",
        ),
        ({NAME: (SUMS, np.full(1, np.inf, np.float32))}, {}, f"{NAME}.counts holds numbers that are not finite"),
        ({NAME: (SUMS * np.nan, np.ones(1, np.float32))}, {}, f"{NAME} holds numbers that are not finite"),
        ({NAME: (-SUMS, np.ones(1, np.float32))}, {}, f"{NAME} holds a negative number, which no sum of squares is"),
        ({NAME: (SUMS.astype(np.float16), np.ones(1, np.float32))}, {}, f"{NAME}.in_sum2 is F16, not F32"),
        ({NAME: (SUMS, np.ones(1, np.float64))}, {}, f"{NAME}.counts is F64, not F32"),
        ({}, {"a.in_sum2": SUMS}, "lacks a.counts"),
        ({}, {"a.counts": SUMS}, "lacks a.in_sum2"),
        ({}, {"other": SUMS}, "holds no importance of any tensor"),
    ],
)
def test_a_gguf_with_bad_tensors_is_refused(
    entries: Any, more: dict[str, np.ndarray], problem: str, tmp_path: Path
) -> None:
    path = imatrix_files.write_gguf(tmp_path / "m.gguf", entries, **more)
    assert refusal(path) == f"importance matrix m.gguf: {problem}"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"datasets": None}, "lacks imatrix.datasets, a list of texts"),
        ({"chunks": None}, "lacks imatrix.chunk_count, a number from 0 to 2,147,483,647"),
        ({"chunks": 2**31}, "lacks imatrix.chunk_count, a number from 0 to 2,147,483,647"),
    ],
)
def test_a_gguf_without_its_keys_is_refused(changes: dict[str, Any], problem: str, tmp_path: Path) -> None:
    path = imatrix_files.write_gguf(tmp_path / "m.gguf", DENSE, **changes)
    assert refusal(path) == f"importance matrix m.gguf: {problem}"


def test_a_model_is_no_importance_matrix(demo_file: Path) -> None:
    assert refusal(demo_file) == f"importance matrix {demo_file.name}: is a model, not an importance matrix"


def test_a_gguf_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = imatrix_files.write_gguf(tmp_path / "m.gguf", DENSE).read_bytes()
    cut = tmp_path / "cut.gguf"
    # The counts come last: four bytes, then padding that nobody misses.
    end = whole.rindex(struct.pack("<f", 7)) + 4
    for size in range(4, end):
        cut.write_bytes(whole[:size])
        assert refusal(cut).startswith("importance matrix cut.gguf: ")


def test_a_dat_that_is_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = imatrix_files.write_dat(tmp_path / "m.dat", {"a": (1, SUMS[0])}).read_bytes()
    ends = {len(whole) - 16, len(whole) - 12}  # before the chunks, and before the dataset
    for size in set(range(1, len(whole))) - ends:
        (tmp_path / "cut.dat").write_bytes(whole[:size])
        assert refusal(tmp_path / "cut.dat").startswith("importance matrix cut.dat: ")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"a text of somebody", "is no importance matrix: the number of its entries would be 1,702,109,281"),
        (struct.pack("<i", 0), "is no importance matrix: the number of its entries would be 0"),
        (struct.pack("<ii", 1, -1), "is no importance matrix: the length of the name of entry 1 would be -1"),
        (struct.pack("<ii", 1, 2) + b"\1\2", r"is no importance matrix: the name of entry 1 would be '\x01\x02'"),
        (struct.pack("<ii", 1, 1) + b"\xff", "is no importance matrix: the name of entry 1 would be '\ufffd'"),
        (
            struct.pack("<iicii", 1, 1, b"a", 1, 2**31 - 1),
            "is no importance matrix: the number of values of a would be 2,147,483,647",
        ),
        (struct.pack("<iicii", 1, 1, b"a", 1, 9), "cut short: it ends inside the values of a"),
        (
            struct.pack("<iiciifii", 1, 1, b"a", 1, 1, 1.0, 1, 99_999),
            "the name of its dataset would be 99,999 bytes long",
        ),
        (struct.pack("<iiciif", 1, 1, b"a", 1, 1, -1.0), "a holds a negative number, which no sum of squares is"),
        (struct.pack("<iiciif", 1, 1, b"a", 1, 1, float("inf")), "a holds numbers that are not finite"),
        (struct.pack("<i", 2) + struct.pack("<iciif", 1, b"a", 1, 1, 1.0) * 2, "a is there twice"),
    ],
)
def test_what_is_no_dat_is_refused(data: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "m.dat").write_bytes(data)
    assert refusal(tmp_path / "m.dat") == f"importance matrix m.dat: {problem}"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "m.dat") == "importance matrix m.dat: cannot be read: No such file or directory"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"importance matrix {tmp_path.name}: cannot be read: Is a directory"


def misfit(tensors: dict[str, tuple[int, ...]]) -> str:
    with pytest.raises(ConversionError) as caught:
        importance().check_fits(tensors)
    assert str(caught.value.hint) == "make one of the unquantized model with llama-imatrix"
    return caught.value.message


def test_an_importance_that_names_no_tensor_is_of_another_model() -> None:
    message = "m.gguf: is of another model: none of its 2 entries names a tensor of this one"
    assert misfit({"blk.0.attn_qkv.weight": (4, 4)}) == message


def test_other_widths_are_of_another_model() -> None:
    message = f"m.gguf: is of another model: it has 4 values for {NAME}, which has 8 columns"
    assert misfit({NAME: (4, 8)}) == message


def test_every_expert_has_its_columns() -> None:
    tensors = {NAME: (2, 9, 2)}
    importance().check_fits(tensors)
    assert list(importance().fitting(tensors)) == [NAME]


def test_an_embedding_of_another_width_is_let_be() -> None:
    tensors = {NAME: (9, 4), "token_embd.weight": (9, 8)}
    importance().check_fits(tensors)
    assert list(importance().fitting(tensors)) == [NAME]


def test_metadata_is_what_llama_quantize_writes() -> None:
    assert list(importance(str(Path("a", "m.gguf"))).metadata().items()) == [
        ("quantize.imatrix.file", encode.text("m.gguf")),
        ("quantize.imatrix.dataset", encode.text("t.txt")),
        ("quantize.imatrix.entries_count", encode.u32(2)),
        ("quantize.imatrix.chunks_count", encode.u32(7)),
    ]


def test_metadata_says_nothing_that_the_file_does_not_say() -> None:
    assert list(importance(datasets=(), chunks=0).metadata()) == [
        "quantize.imatrix.file",
        "quantize.imatrix.entries_count",
    ]


def test_long_texts_are_cut_between_characters_as_long_as_llama_quantize_has_room() -> None:
    written = importance(datasets=("x" + "ກ" * 60,)).metadata()["quantize.imatrix.dataset"]
    assert written == encode.text("x" + "ກ" * 42)

"""Headers of GGUFs: valid ones are read, and each kind of damage is named."""

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from seallm_edge.errors import ModelFileError
from seallm_edge.gguf_file import Array, Header, read_header

WriteGguf = Callable[..., Path]


def problem_of(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_header(path)
    return caught.value.problem


def test_header_says_what_the_file_holds(write_gguf: WriteGguf) -> None:
    header = read_header(write_gguf("A-Q8_0.gguf", kind=8, change={"general.file_type": ("uint32", 7)}))

    assert (header.architecture, header.name, header.version) == ("qwen2", "Tiny Test", 3)
    dimensions = header.dimensions
    assert (dimensions.n_layer, dimensions.n_embd, dimensions.n_head, dimensions.n_head_kv) == (2, 64, 4, 2)
    assert (dimensions.head_dim, dimensions.n_ff, dimensions.n_vocab, header.context_length) == (16, 128, 300, 4096)
    assert dimensions.kv_bytes_per_token == 2 * 2 * 2 * 16 * 2
    assert header.file_type_name == "Q8_0"
    assert header.n_splits == 1
    assert not header.has_chat_template
    assert header.n_params == sum(tensor.n_elements for tensor in header.tensors)
    assert header.types()["F32"] == (11, 4 * (64 + 2 * (64 + 32 + 32 + 64 + 64)))
    assert header.tensor_bytes == sum(n_bytes for _, n_bytes in header.types().values())
    assert header.tensors[-1].offset + header.tensors[-1].n_bytes <= header.file_size


def test_arrays_stay_in_the_file_until_asked_for(write_gguf: WriteGguf) -> None:
    header = read_header(write_gguf())

    tokens = header.metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, Array)
    assert (tokens.item_type, tokens.count) == ("string", 300)
    assert header.array("tokenizer.ggml.tokens")[:4] == ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "t"]
    types = header.array("tokenizer.ggml.token_type")
    assert types.dtype == np.int32
    assert types.tolist() == [3] * 3 + [1] * 297
    with pytest.raises(KeyError):
        header.array("general.name")


@pytest.mark.parametrize("read", [lambda h: h.array("tokenizer.ggml.tokens"), Header.encoded])
def test_values_of_a_file_that_was_cut_since_are_an_error(write_gguf: WriteGguf, read: Callable[..., object]) -> None:
    header = read_header(path := write_gguf())
    path.write_bytes(b"GGUF")

    with pytest.raises(ModelFileError, match="has changed since its header was read"):
        read(header)


def test_demo_model_is_read_whole(demo_file: Path) -> None:
    header = read_header(demo_file)

    assert (header.architecture, header.file_type_name, header.n_params) == ("llama", "Q4_1", 134_515_008)
    assert header.types() == {"Q4_1": (210, 66_355_200), "Q8_0": (1, 30_081_024), "F32": (61, 140_544)}
    assert header.data_offset + header.tensor_bytes == header.file_size
    assert header.has_chat_template


def test_file_without_a_name_of_its_own_is_called_after_itself(write_gguf: WriteGguf) -> None:
    assert read_header(write_gguf("Mô hình.gguf", change={"general.name": None})).name == "Mô hình"


def test_file_type_falls_back_on_the_type_of_most_bytes(write_gguf: WriteGguf) -> None:
    assert read_header(write_gguf(kind=8)).file_type_name == "Q8_0"


def test_long_texts_stay_in_the_file(write_gguf: WriteGguf) -> None:
    header = read_header(write_gguf(change={"tokenizer.huggingface.json": ("string", "ก" * 400_000)}))

    assert header.metadata["tokenizer.huggingface.json"] == Array("uint8", 1_200_000, pytest.approx(0, abs=1 << 20))


@pytest.mark.parametrize("version", [2, 3])
def test_versions_2_and_3_are_read(write_gguf: WriteGguf, version: int) -> None:
    assert read_header(write_gguf(version=version)).version == version


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"GG", "not a GGUF file"),
        (b"GGUF", "cut short: the header goes on past the end of the file (4 bytes)"),
        (b"hello, I am a text", "not a GGUF file"),
        (bytes(64), "starts with zeros: its download or copy did not finish"),
        (b"FUGG" + bytes(60), "a big-endian GGUF, and only little-endian ones can be run"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "a big-endian GGUF, and only little-endian ones can be run"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "GGUF version 1, and only 2 and 3 can be run"),
        (b"GGUF" + struct.pack("<IQQ", 4, 0, 0), "GGUF version 4, and only 2 and 3 can be run"),
        (b"GGUF" + struct.pack("<IQQ", 0, 0, 0), "GGUF version 0, and only 2 and 3 can be run"),
        (b"PK\x03\x04" + bytes(60), "a zip or PyTorch file, not a GGUF"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer, not the model itself"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 2**63, 1),
            "its header speaks of 9,223,372,036,854,775,808 tensors and 1 keys, which no model has",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 2**40),
            "its header speaks of 1 tensors and 1,099,511,627,776 keys, which no model has",
        ),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**64 - 1),
            "key 0 is 18,446,744,073,709,551,615 bytes long, more than the file holds",
        ),
    ],
)
def test_what_is_no_gguf_is_named(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)

    assert problem_of(path) == problem


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "no.gguf") == "no such file"
    assert problem_of(tmp_path) == "is a folder, not a GGUF file"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"general.architecture": None}, "does not say which architecture it is (general.architecture)"),
        ({"general.architecture": ("uint32", 7)}, "does not say which architecture it is (general.architecture)"),
        ({"general.alignment": ("uint32", 0)}, "its alignment is 0, not a power of two from 32 up"),
        ({"general.alignment": ("uint32", 48)}, "its alignment is 48, not a power of two from 32 up"),
        ({"general.alignment": ("uint32", 16)}, "its alignment is 16, not a power of two from 32 up"),
        ({"x": ("uint8[]", [1] * 3), "y": ("string[]", [])}, None),
        ({"general.name": ("string", b"\xff\xfe")}, "the text of 'general.name' is not UTF-8"),
        (
            {"tokenizer.ggml.model": ("string", "bert")},
            "its tokenizer is of the kind 'bert'; only gpt2 and llama can be run",
        ),
        ({"tokenizer.ggml.tokens": ("string", "a")}, "tokenizer.ggml.tokens is not an array of string"),
        ({"tokenizer.ggml.tokens": ("int32[]", [1])}, "tokenizer.ggml.tokens is not an array of string"),
        ({"tokenizer.ggml.tokens": ("string[]", ["a"])}, "a vocabulary of 1 tokens is too small to run"),
        ({"tokenizer.ggml.tokens": ("string[]", ["a", "b"] * 150)}, "token 'a' is in the vocabulary twice"),
        (  # llama.cpp reads up to the NUL, and so sees one token twice
            {"tokenizer.ggml.tokens": ("string[]", ["a\0b", "a\0c", *(f"t{i}" for i in range(298))])},
            "token 'a' is in the vocabulary twice",
        ),
        (  # llama.cpp calls an empty token [EMPTY_n]
            {"tokenizer.ggml.tokens": ("string[]", ["", "[EMPTY_0]", *(f"t{i}" for i in range(298))])},
            "token '[EMPTY_0]' is in the vocabulary twice",
        ),
        ({"tokenizer.ggml.merges": ("int32[]", [1])}, "tokenizer.ggml.merges is not an array of string"),
        ({"tokenizer.ggml.scores": ("float64[]", [1.0])}, "tokenizer.ggml.scores is not an array of float32 or int32"),
        ({"tokenizer.ggml.scores": ("float32[]", [1.0])}, "tokenizer.ggml.scores has 1 items for 300 tokens"),
        ({"tokenizer.ggml.token_type": ("int32[]", [1])}, "tokenizer.ggml.token_type has 1 items for 300 tokens"),
        (
            {"tokenizer.ggml.model": ("string", "llama")},
            "its vocabulary lacks 256 of the 256 byte tokens, such as <0x00>",
        ),
        ({"qwen2.block_count": ("uint32", 0)}, "qwen2.block_count is 0; 1 to 512 can be"),
        ({"qwen2.block_count": ("uint32", 513)}, "qwen2.block_count is 513; 1 to 512 can be"),
        ({"qwen2.block_count": ("string", "2")}, "qwen2.block_count must be one whole number, not '2'"),
        ({"qwen2.context_length": ("uint32", 0)}, "qwen2.context_length is 0"),
        ({"qwen2.nextn_predict_layers": ("uint32", 3)}, "qwen2.nextn_predict_layers is more than its 2 layers"),
        (
            {"qwen2.attention.head_count": ("uint32", 0)},
            "0 heads, 2 KV heads and a width of 64 do not go together",
        ),
        (
            {"qwen2.attention.head_count_kv": ("uint32", 3)},
            "4 heads, 3 KV heads and a width of 64 do not go together",
        ),
        ({"qwen2.rope.dimension_count": ("uint32", 8)}, "qwen2.rope.dimension_count is 8, but its heads are 16 wide"),
        ({"qwen2.attention.key_length": ("uint32", 8)}, "qwen2.attention.key_length is 8, but its heads are 16 wide"),
        (
            {
                "general.architecture": ("string", "seed_oss"),
                "seed_oss.embedding_length": ("uint32", 64),
                "seed_oss.attention.head_count": ("uint32", 4),
                "seed_oss.attention.key_length": ("uint32", 24),
                "seed_oss.attention.value_length": ("uint32", 16),
            },
            "seed_oss.attention.value_length is 16, but its heads are 24 wide",
        ),
        ({"qwen2.expert_count": ("uint32", 4)}, "4 experts of which 0 are used, in 0 groups, do not go together"),
        ({"qwen2.expert_group_count": ("uint32", 4)}, "0 experts of which 0 are used, in 4 groups, do not go together"),
        ({"qwen2.rope.scaling.type": ("string", "twisted")}, "qwen2.rope.scaling.type 'twisted' is unknown"),
        (
            {"qwen2.attention.layer_norm_rms_epsilon": ("float32", -1.0)},
            "qwen2.attention.layer_norm_rms_epsilon is -1.0, which is no small number",
        ),
        (
            {"qwen2.attention.layer_norm_rms_epsilon": ("float32", float("nan"))},
            "qwen2.attention.layer_norm_rms_epsilon is nan, which is no small number",
        ),
        ({"qwen2.attention.causal": ("bool", False)}, "it does not generate text (attention.causal is false)"),
    ],
)
def test_metadata_that_would_end_the_process_is_refused(
    write_gguf: WriteGguf, change: dict, problem: str | None
) -> None:
    path = write_gguf(change=change)

    if problem is None:
        read_header(path)
    else:
        assert problem_of(path) == problem


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ([("a", (32, 2), 8), ("a", (32, 2), 8)], "tensor 'a' is there twice"),
        ([("a", (33,), 8)], "tensor 'a' has rows of 33, which blocks of 32 (Q8_0) do not divide"),
        ([("a", (), 0)], "tensor 'a' has 0 dimensions; 1 to 4 can be"),
        ([("a", (1, 1, 1, 1, 1), 0)], "tensor 'a' has 5 dimensions; 1 to 4 can be"),
        ([("a", (0,), 0)], "tensor 'a' has the impossible shape (0,)"),
        ([("a", (4,), 4)], "tensor 'a' has type 4, which this llama.cpp has not"),
        ([("a", (4,), 99)], "tensor 'a' has type 99, which this llama.cpp has not"),
        ([("a" * 64, (4,), 0)], "the name of tensor 0 is 64 bytes long; 1 to 63 can be"),
        ([(b"\xff", (4,), 0)], "the name of tensor 0 is not UTF-8"),
        ([("a", (4,), 26)], "tensor 'a' is of type I32, which cannot be computed with"),
        ([("a", (4,), 1)], "tensor 'a' is of type F16; a vector must be F32"),
    ],
)
def test_tensors_that_cannot_be_are_refused(write_gguf: WriteGguf, tensors: list, problem: str) -> None:
    assert problem_of(write_gguf(tensors=tensors)) == problem


def test_shape_that_overflows_is_refused(write_gguf: WriteGguf) -> None:
    path = write_gguf(tensors=[("a", (4, 4), 0)])
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<QQ", 4, 4), struct.pack("<QQ", 2**32, 2**32)))

    assert problem_of(path) == f"tensor 'a' has the impossible shape ({2**32}, {2**32})"


@pytest.mark.parametrize(
    ("offset", "problem"),
    [
        (0, "tensor 'b' overlaps the one before it"),
        (96, "tensor 'b' starts at 96, not at 64 where the one before it ends"),
        (65, "tensor 'b' starts at 65, which is no multiple of 32"),
        (2**64 - 32, "tensor 'b' starts at 18,446,744,073,709,551,584, not at 64 where the one before it ends"),
    ],
)
def test_tensors_out_of_place_are_refused(write_gguf: WriteGguf, offset: int, problem: str) -> None:
    path = write_gguf(tensors=[("a", (16,), 0), ("b", (77,), 0)])
    place = struct.pack("<QIQ", 77, 0, 64)
    content = path.read_bytes()
    assert content.count(place) == 1
    path.write_bytes(content.replace(place, struct.pack("<QIQ", 77, 0, offset)))

    assert problem_of(path) == problem


def test_file_cut_short_names_the_tensor_and_the_missing_bytes(write_gguf: WriteGguf) -> None:
    path = write_gguf()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - 100)

    assert problem_of(path) == "cut short: tensor 'output_norm.weight' ends 100 bytes past the end of the file"


def test_every_cut_of_a_header_is_refused(write_gguf: WriteGguf) -> None:
    path = write_gguf()
    content = path.read_bytes()
    for length in range(0, read_header(path).data_offset, 37):
        path.write_bytes(content[:length])
        assert problem_of(path)


def test_array_of_arrays_is_refused(write_gguf: WriteGguf) -> None:
    path = write_gguf(change={"x": ("uint64[]", [7])})
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<IIQ", 9, 10, 1), struct.pack("<IIQ", 9, 9, 1)))

    assert problem_of(path) == "'x' is an array of arrays, which llama.cpp cannot read"


def test_array_longer_than_the_file_is_refused_at_once(write_gguf: WriteGguf) -> None:
    path = write_gguf(change={"x": ("uint64[]", [7])})
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<IIQ", 9, 10, 1), struct.pack("<IIQ", 9, 10, 2**61)))

    assert problem_of(path) == f"'x' says it has {2**61:,} items, more than the file holds"


def test_key_there_twice_is_refused(write_gguf: WriteGguf) -> None:
    path = write_gguf(change={"a.a": ("uint8", 1), "a.b": ("uint8", 1)})
    path.write_bytes(path.read_bytes().replace(b"a.b", b"a.a"))

    assert problem_of(path) == "key 'a.a' is there twice"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"change": {"a\0b": ("uint8", 1)}}, "key 15 is 'a\\x00b', with a zero in it"),
        ({"tensors": [("a\0b", (4, 4), 0)]}, "the name of tensor 0 is 'a\\x00b', with a zero in it"),
    ],
)
def test_name_with_a_zero_in_it_is_refused(write_gguf: WriteGguf, options: dict, problem: str) -> None:
    assert problem_of(write_gguf(**options)) == problem

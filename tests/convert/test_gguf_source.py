"""GGUFs of many architectures as sources: their quantized files, compared with llama.cpp's own."""

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from seallm_edge.convert.sources.gguf_source import GgufSource, open_gguf, quantized_metadata, quantized_order
from seallm_edge.errors import ConversionError, ModelFileError
from seallm_edge.gguf_file import encode, read_structure
from seallm_edge.gguf_file.types import TENSOR_TYPES, padded
from seallm_edge.native.quantizer import quantize, requantize_file, widen
from seallm_edge.native.type_choice import chosen_types

pytestmark = pytest.mark.slow

Shapes = Mapping[str, tuple[int, ...]]
Q4_K_M, Q2_K, Q8_0, F16, IQ2_XXS = 15, 10, 7, 1, 19
DENSE = {
    "token_embd.weight": (300, 256),
    "output_norm.weight": (256,),
    "output.weight": (300, 256),
    **{
        f"blk.{layer}.{name}": shape
        for layer in (10, 0, 9, 1)  # not in the order that llama.cpp writes
        for name, shape in {
            "ffn_down.weight": (256, 512),
            "attn_v.weight": (128, 256),
            "attn_q.weight": (256, 256),
            "attn_q.bias": (256,),
            "attn_norm.weight": (256,),
        }.items()
    },
}
MODELS: dict[str, tuple[dict[str, float], Shapes]] = {  # architecture: its own keys, its tensors
    "llama": ({"attention.layer_norm_rms_epsilon": 1e-5, "attention.head_count": 8}, DENSE),
    "qwen2": ({"attention.layer_norm_rms_epsilon": 1e-6, "attention.head_count": 4}, DENSE),
    "qwen2moe": (
        {
            "attention.layer_norm_rms_epsilon": 1e-6,
            "attention.head_count": 4,
            "expert_count": 3,
            "expert_used_count": 2,
        },
        {
            "token_embd.weight": (300, 256),
            "blk.0.ffn_gate_inp.weight": (3, 256),
            "blk.0.ffn_down_exps.weight": (3, 64, 256),
            "blk.0.ffn_up_exps.weight": (3, 7, 288),
            "blk.1.attn_v.weight": (64, 256),
        },
    ),
    "bert": (
        {"attention.layer_norm_epsilon": 1e-12, "attention.head_count": 4},
        {
            "token_types.weight": (2, 256),
            "position_embd.weight": (64, 256),
            "token_embd.weight": (300, 256),
            "blk.0.attn_qkv.weight": (768, 256),
            "blk.0.attn_output_norm.weight": (256,),
            "cls.weight": (1, 256),  # a dimension of 1, which ggml does not count
        },
    ),
    "mamba": (
        {
            "attention.layer_norm_rms_epsilon": 1e-5,
            "ssm.conv_kernel": 4,
            "ssm.inner_size": 512,
            "ssm.state_size": 16,
            "ssm.time_step_rank": 16,
        },
        {
            "token_embd.weight": (300, 256),
            "blk.0.ssm_conv1d.weight": (512, 4),
            "blk.0.ssm_in.weight": (1024, 256),
            "blk.0.ssm_x.weight": (48, 512),
            "blk.0.ssm_a": (512, 16),
            "blk.0.ssm_d": (512,),
        },
    ),
}


def write_model(path: Path, architecture: str, kind: str = "F16", alignment: int = 0, **options: Any) -> Path:
    """A model of seeded weights, its matrices of type `kind`."""
    keys, shapes = MODELS[architecture]
    writer = gguf.GGUFWriter(path, architecture, **options)
    if alignment:
        writer.add_custom_alignment(alignment)
    writer.add_quantization_version(1)
    writer.add_name("Tiny")
    writer.add_file_type(1)
    for name, value in {"context_length": 64, "embedding_length": 256, "block_count": 11, **keys}.items():
        add = writer.add_float32 if isinstance(value, float) else writer.add_uint32
        add(f"{architecture}.{name}", value)
    writer.add_bool("any.bool", True)
    writer.add_array("any.texts", ["", "a", "ไทย"])
    writer.add_array("any.numbers", [1.5, 2.5])
    writer.add_array("any.bools", [False, True])
    rng = np.random.default_rng(5)
    for name, shape in shapes.items():
        weights = rng.standard_normal(shape, np.float32)
        type_ = gguf.GGMLQuantizationType[kind if len(shape) > 1 and shape[-1] % 32 == 0 else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(weights, type_), raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    def write(architecture: str = "llama", kind: str = "F16", **options: Any) -> Path:
        return write_model(tmp_path / "model.gguf", architecture, kind, **options)

    return write


def quantized(source: GgufSource, file_type: int, importance: Mapping[str, np.ndarray] | None = None) -> bytes:
    """The whole file that llama.cpp would write, of what the source gives."""
    choices = chosen_types(source.files[0], file_type, importance is not None)
    by_name = {tensor.name: tensor for tensor in source.tensors}
    entries, body = [], b""
    for name in quantized_order(by_name):
        tensor, kind = by_name[name], TENSOR_TYPES[choices[name]]
        entries.append((name, tensor.shape, kind.id, len(body)))
        with tensor.shard.path.open("rb") as file:
            file.seek(tensor.offset)
            data = file.read(tensor.n_bytes)
        if tensor.dtype != kind.name:
            data = requantized(data, tensor.dtype, tensor.shape, kind.name, (importance or {}).get(name))
        body += data + bytes(-len(data) % 32)
    return encode.header(quantized_metadata(source, file_type, {}), entries) + body


def requantized(data: bytes, before: str, shape: tuple[int, ...], after: str, importance: np.ndarray | None) -> bytes:
    wide = np.empty(shape, np.float32)
    if before == "F32":
        wide.reshape(-1)[:] = np.frombuffer(data, np.float32)
    else:
        widen(np.frombuffer(data, np.uint8), before, wide.reshape(-1))
    experts = wide.reshape(-1, *shape[-2:])
    columns = [None] * len(experts) if importance is None else list(importance.reshape(len(experts), -1))
    kind, out = TENSOR_TYPES[after], b""
    for expert, of_columns in zip(experts, columns, strict=True):
        target = np.zeros(len(expert) * kind.row_bytes(shape[-1]), np.uint8)
        quantize(expert, kind, shape[-1], target, of_columns)
        out += target.tobytes()
    return out


@pytest.mark.parametrize("file_type", [Q4_K_M, Q2_K, F16])
@pytest.mark.parametrize("kind", ["F16", "Q8_0"])
@pytest.mark.parametrize("architecture", MODELS)
def test_what_the_source_gives_makes_the_file_that_llama_cpp_writes(
    architecture: str, kind: str, file_type: int, model: Callable[..., Path], tmp_path: Path
) -> None:
    path = model(architecture, kind)
    requantize_file(path, tmp_path / "oracle.gguf", file_type, threads=2)
    assert quantized(open_gguf(path), file_type) == (tmp_path / "oracle.gguf").read_bytes()


@pytest.mark.parametrize("architecture", ["llama", "qwen2moe"])
def test_importance_of_each_expert_goes_where_llama_cpp_puts_it(
    architecture: str, model: Callable[..., Path], tmp_path: Path
) -> None:
    path, rng = model(architecture, "BF16"), np.random.default_rng(6)
    importance = {
        tensor.name: rng.random(int(np.prod(tensor.shape[:-2])) * tensor.shape[-1], np.float32)
        for tensor in open_gguf(path).tensors
        if len(tensor.shape) > 1
    }
    requantize_file(path, tmp_path / "oracle.gguf", IQ2_XXS, 2, importance)
    assert quantized(open_gguf(path), IQ2_XXS, importance) == (tmp_path / "oracle.gguf").read_bytes()


def test_header_of_the_demo_model_quantized_is_that_of_llama_cpp(demo_file: Path, tmp_path: Path) -> None:
    source = open_gguf(demo_file)
    requantize_file(demo_file, tmp_path / "oracle.gguf", Q8_0, threads=2)
    choices, by_name = chosen_types(demo_file, Q8_0), {tensor.name: tensor for tensor in source.tensors}
    entries, offset = [], 0
    for name in quantized_order(by_name):
        kind, shape = TENSOR_TYPES[choices[name]], by_name[name].shape
        entries.append((name, shape, kind.id, offset))
        offset = padded(offset + int(np.prod(shape[:-1])) * kind.row_bytes(shape[-1]))
    ours = encode.header(quantized_metadata(source, Q8_0, {}), entries)
    assert ours == (tmp_path / "oracle.gguf").read_bytes()[: len(ours)]


def test_split_source_makes_the_same_file_as_the_whole_one(model: Callable[..., Path], tmp_path: Path) -> None:
    whole = quantized(open_gguf(model("llama")), Q4_K_M)
    model("llama", split_max_tensors=9)
    source = open_gguf(tmp_path / "model-00001-of-00003.gguf")
    requantize_file(source.files[0], tmp_path / "oracle.gguf", Q4_K_M)

    assert [path.name for path in source.files] == [f"model-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert [source.shards.index(tensor.shard) for tensor in source.tensors] == [0] * 9 + [1] * 9 + [2] * 5
    assert quantized(source, Q4_K_M) == whole == (tmp_path / "oracle.gguf").read_bytes()


def test_metadata_is_the_bytes_of_the_file_in_its_order(model: Callable[..., Path]) -> None:
    path = model("bert")
    metadata = open_gguf(path).metadata_bytes
    written = b"".join(struct.pack("<Q", len(key)) + key.encode() + value for key, value in metadata.items())

    assert path.read_bytes()[24:].startswith(written)
    assert metadata["any.texts"] == encode.texts(["", "a", "ไทย"])
    assert list(metadata)[:4] == [
        "general.architecture",
        "general.quantization_version",
        "general.name",
        "general.file_type",
    ]


def test_tensors_are_in_file_order_and_rows_first(model: Callable[..., Path]) -> None:
    source, header = open_gguf(path := model("qwen2moe")), read_structure(path)

    assert [(tensor.name, tensor.shape) for tensor in source.tensors] == list(MODELS["qwen2moe"][1].items())
    places = [
        [(t.offset, t.n_bytes, t.dtype) for t in source.tensors],
        [(t.offset, t.n_bytes, t.type_name) for t in header.tensors],
    ]
    assert places[0] == places[1]
    assert (source.header, source.files) == (header, (path,))


def test_outer_dimension_of_one_is_none(model: Callable[..., Path]) -> None:
    shapes = {tensor.name: tensor.shape for tensor in open_gguf(model("bert")).tensors}
    assert (shapes["cls.weight"], shapes["token_types.weight"]) == ((256,), (2, 256))


def test_keys_that_quantizing_sets_stand_last_and_those_of_parts_are_gone(model: Callable[..., Path]) -> None:
    model("llama", split_max_tensors=12)
    source = open_gguf(model("llama").with_name("model-00001-of-00002.gguf"))
    extra = {"any.bool": encode.flag(False), "quantize.imatrix.file": encode.text("x")}
    written = quantized_metadata(source, Q4_K_M, extra)

    removed = {"general.quantization_version", "general.file_type", "any.bool"}
    removed |= {"split.no", "split.count", "split.tensors.count"}
    assert removed <= source.metadata_bytes.keys()
    assert list(written.items()) == [
        *((key, value) for key, value in source.metadata_bytes.items() if key not in removed),
        ("general.quantization_version", encode.u32(2)),
        ("general.file_type", encode.u32(Q4_K_M)),
        ("any.bool", encode.flag(False)),
        ("quantize.imatrix.file", encode.text("x")),
    ]


def test_texts_with_zeros_and_odd_truths_are_written_as_llama_cpp_does(
    model: Callable[..., Path], tmp_path: Path
) -> None:
    path = model("llama")
    changed = path.read_bytes().replace(struct.pack("<Q9s", 9, "ไทย".encode()), struct.pack("<Q9s", 9, b"1\x002345678"))
    changed = changed.replace(b"any.bool" + struct.pack("<I", 7) + b"\1", b"any.bool" + struct.pack("<I", 7) + b"\2")
    bools = b"any.bools" + struct.pack("<IIQ", 9, 7, 2)
    changed = changed.replace(bools + b"\0\1", bools + b"\0\x80")
    path.write_bytes(changed)
    requantize_file(path, tmp_path / "oracle.gguf", F16)

    written = quantized_metadata(open_gguf(path), F16, {})
    assert written["any.texts"] == encode.texts(["", "a", "1"])
    assert written["any.bool"] == encode.flag(True)
    assert written["any.bools"].endswith(b"\0\1")
    assert quantized(open_gguf(path), F16) == (tmp_path / "oracle.gguf").read_bytes()


def test_other_alignment_is_refused_where_llama_cpp_writes_a_file_that_cannot_be_read(
    model: Callable[..., Path], tmp_path: Path
) -> None:
    path = model("qwen2moe", alignment=128)
    requantize_file(path, tmp_path / "oracle.gguf", Q8_0)
    with pytest.raises(ModelFileError, match="which is no multiple of 128"):
        read_structure(tmp_path / "oracle.gguf")
    with pytest.raises(ConversionError) as caught:
        quantized_metadata(open_gguf(path), Q8_0, {})
    assert str(caught.value) == (
        "model.gguf is aligned to 128 bytes, and only 32 can be written\n"
        "  convert the model again, without general.alignment"
    )


def test_usual_alignment_may_be_named(model: Callable[..., Path], tmp_path: Path) -> None:
    requantize_file(path := model("mamba", alignment=32), tmp_path / "oracle.gguf", Q8_0)
    assert quantized(open_gguf(path), Q8_0) == (tmp_path / "oracle.gguf").read_bytes()


def test_order_is_by_layer_then_by_bytes() -> None:
    names = ["output.weight", "blk.10.a", "blk.2.b", "blk.2.B", "blk.2.ไ", "blk.2x", "blk.x", "a", "blk.-1.z"]
    assert quantized_order(names) == [
        "a", "blk.-1.z", "blk.x", "output.weight", "blk.2.B", "blk.2.b", "blk.2.ไ", "blk.2x", "blk.10.a"
    ]  # fmt: skip


def test_damaged_source_is_named(model: Callable[..., Path]) -> None:
    path = model("mamba")
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelFileError, match=r"^model\.gguf: cut short: tensor 'blk\.0\.ssm_d' ends 4 bytes past"):
        open_gguf(path)

"""Generated checkpoints: seeded noise in any shape, and a trained model in Qwen2's layout."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.convert import convert
from seallm_edge.errors import CheckpointError
from support.trained_checkpoint import write_checkpoint as write_trained

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
NUMPY = {"F32": np.float32, "F16": np.float16}


@dataclass(frozen=True)
class Sizes:
    """The shape of a checkpoint, how its weights are stored, and in how many files."""

    embd: int = 256
    ff: int = 512
    heads: int = 4
    kv_heads: int = 2
    layers: int = 2
    vocab: int = 288
    tied: bool = True
    dtype: str = "BF16"
    shards: int = 1
    head_dim: int | None = None

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Every tensor by its Hugging Face name, rows first."""
        head_dim = self.head_dim or self.embd // self.heads
        q, kv = head_dim * self.heads, head_dim * self.kv_heads
        yield "model.embed_tokens.weight", (self.vocab, self.embd)
        for layer in range(self.layers):
            block = f"model.layers.{layer}."
            for part, rows in (("q", q), ("k", kv), ("v", kv)):
                yield f"{block}self_attn.{part}_proj.weight", (rows, self.embd)
                yield f"{block}self_attn.{part}_proj.bias", (rows,)
            yield f"{block}self_attn.o_proj.weight", (self.embd, q)
            yield f"{block}mlp.gate_proj.weight", (self.ff, self.embd)
            yield f"{block}mlp.up_proj.weight", (self.ff, self.embd)
            yield f"{block}mlp.down_proj.weight", (self.embd, self.ff)
            yield f"{block}input_layernorm.weight", (self.embd,)
            yield f"{block}post_attention_layernorm.weight", (self.embd,)
        yield "model.norm.weight", (self.embd,)
        if not self.tied:
            yield "lm_head.weight", (self.vocab, self.embd)

    def config(self) -> dict[str, Any]:
        """The config.json of this shape, with the end of text that no chat model should be given."""
        return ({"head_dim": self.head_dim} if self.head_dim else {}) | {
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "hidden_size": self.embd,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.ff,
            "vocab_size": self.vocab,
            "hidden_act": "silu",
            "tie_word_embeddings": self.tied,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1000000.0,
            "max_position_embeddings": 4096,
            "bos_token_id": 259,
            "eos_token_id": 259,
        }


@dataclass
class CheckpointFolder:
    """A checkpoint that was written, with the bytes of its weights as they were meant."""

    path: Path
    weights: Mapping[str, bytes]

    def edit(self, file: str, change: Callable[[Any], Any]) -> None:
        """Change a JSON file of the folder: what `change` returns, or what it did to the content, is written."""
        content = json.loads((self.path / file).read_text())
        changed = change(content)
        (self.path / file).write_text(json.dumps(content if changed is None else changed))


def noise(shape: tuple[int, ...], dtype: str, rng: np.random.Generator) -> bytes:
    """Seeded weights of about the size of trained ones."""
    values = rng.standard_normal(shape, np.float32) * np.float32(0.05)
    if dtype == "BF16":
        return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return values.astype(NUMPY[dtype]).tobytes()


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """A safetensors file of (dtype, shape, bytes) by name."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data for *_, data in tensors.values()))


def hollow_safetensors(path: Path, sizes: Sizes) -> None:
    """A file with the header of `sizes` and, where weights should be, a hole that takes no disk."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in sizes.tensors():
        start, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": sizes.dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + end)


def byte_characters() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary. ref: GPT-2's `bytes_to_unicode`"""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(256 + hidden.index(byte)) for byte in range(256)]


def tokenizer_json(vocab: list[str], merges: list[str], special: Mapping[int, str]) -> dict[str, Any]:
    """A tokenizer.json in Qwen2's layout."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": text, **flags} for number, text in special.items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: number for number, token in enumerate(vocab)},
            "merges": merges,
        },
    }


def write_checkpoint(path: Path, sizes: Sizes) -> CheckpointFolder:
    """A whole chat checkpoint of seeded noise."""
    path.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    tensors = {name: (sizes.dtype, shape, noise(shape, sizes.dtype, rng)) for name, shape in sizes.tensors()}
    names, weight_map = list(tensors), {}
    for shard in range(sizes.shards):
        part = names[shard * len(names) // sizes.shards : (shard + 1) * len(names) // sizes.shards]
        file = f"model-{shard + 1:05}-of-{sizes.shards:05}.safetensors" if sizes.shards > 1 else "model.safetensors"
        write_safetensors(path / file, {name: tensors[name] for name in part})
        weight_map |= dict.fromkeys(part, file)
    if sizes.shards > 1:
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    write_settings(path, sizes)
    return CheckpointFolder(path, {name: data for name, (_, _, data) in tensors.items()})


def write_settings(path: Path, sizes: Sizes) -> None:
    """All but the weights. The tokens are the bytes 0-255, three merges, then the special ones."""
    (path / "config.json").write_text(json.dumps(sizes.config()))
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [261, 259]}))
    vocab = [*byte_characters(), "th", "an", "the"]
    special = {259 + i: text for i, text in enumerate(SPECIAL)}
    (path / "tokenizer.json").write_text(json.dumps(tokenizer_json(vocab, ["t h", "a n", "th e"], special)))
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": None, "chat_template": TEMPLATE}
    (path / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.fixture
def refusal() -> Callable[[Path], str]:
    """Tries to convert a bad checkpoint: the message with which it is refused, nothing having been written."""

    def refused(folder: Path) -> str:
        with pytest.raises(CheckpointError) as caught:
            convert(folder, folder.parent / "out.gguf")
        assert not list(folder.parent.glob("out.gguf*"))
        assert caught.value.hint
        return caught.value.message

    return refused


@pytest.fixture
def hollow_checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint of true size whose weights are a hole: for whoever reads no weights."""

    def write(name: str, **changes: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        write_settings(folder, replace(Sizes(), **changes))
        hollow_safetensors(folder / "model.safetensors", replace(Sizes(), **changes))
        return folder

    return write


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., CheckpointFolder]:
    """Writes a checkpoint: `checkpoint()` the tiny one, `checkpoint(layers=9, shards=3)` another shape."""

    def write(name: str = "tiny", **changes: Any) -> CheckpointFolder:
        return write_checkpoint(tmp_path / name, replace(Sizes(), **changes))

    return write


@pytest.fixture(scope="session")
def checkpoint_writer() -> tuple[Callable[[Path, Sizes], CheckpointFolder], type[Sizes]]:
    """What `checkpoint` is made of, for fixtures that outlive a test."""
    return write_checkpoint, Sizes


@pytest.fixture(scope="session")
def trained(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model as a Hugging Face checkpoint in Qwen2's layout, F16 in two shards: its words make sense."""
    folder = tmp_path_factory.mktemp("trained") / "smol-as-qwen2"
    write_trained(demo_file, folder, n_shards=2)
    return folder


@pytest.fixture(scope="session")
def undisturbed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sha256 of the trained checkpoint as Q4_K_M, made in one go."""
    path = convert(trained, tmp_path_factory.mktemp("clean") / "clean.gguf", "Q4_K_M", verify="none")
    return hashlib.sha256(path.read_bytes()).hexdigest()

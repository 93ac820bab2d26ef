"""A model of two tiny layers with random weights, whose steps take a millisecond."""

from pathlib import Path

import numpy as np

N_LAYER, N_EMBD, N_HEAD, N_HEAD_KV, N_FF = 2, 64, 4, 2, 128
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def byte_letters() -> list[str]:
    """The letter that byte-level BPE writes for each byte. ref: GPT-2's bytes_to_unicode"""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def write_tiny(
    path: Path,
    *,
    seed: int = 0,
    tokens: tuple[str, ...] = (),
    quantized: bool = False,
    template: str = "",
    temperature: float | None = None,
) -> None:
    """A Qwen2 GGUF with a token for each byte, more `tokens` that nothing is made of, seeded weights, of Q8_0 if
    `quantized`, else F32, and a chat `template` and a `temperature` to sample with if they are given."""
    import gguf

    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name("Tiny Test")
    writer.add_block_count(N_LAYER)
    writer.add_context_length(4096)
    writer.add_embedding_length(N_EMBD)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    writer.add_head_count_kv(N_HEAD_KV)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    names = [*byte_letters(), *MARKS, *tokens]
    writer.add_token_list(names)
    writer.add_token_types([1] * 256 + [3] * (len(names) - 256))
    writer.add_token_merges(["t h", "i n"])
    writer.add_eos_token_id(names.index("<|im_end|>"))
    if template:
        writer.add_chat_template(template)
    if temperature is not None:
        writer.add_float32("general.sampling.temp", temperature)
    rng = np.random.default_rng(seed)
    kv = N_HEAD_KV * N_EMBD // N_HEAD

    def add(name: str, *shape: int) -> None:
        spread = 1.0 if len(shape) == 1 and "norm" in name else 0.0
        weights = spread if spread else rng.standard_normal(shape, np.float32) * 0.3
        if quantized and len(shape) > 1:
            packed = gguf.quants.quantize(weights, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(name, np.full(shape, weights, np.float32) if spread else weights)

    add("token_embd.weight", len(names), N_EMBD)
    for layer in range(N_LAYER):
        block = f"blk.{layer}."
        for part, rows in (("q", N_EMBD), ("k", kv), ("v", kv)):
            add(f"{block}attn_{part}.weight", rows, N_EMBD)
            add(f"{block}attn_{part}.bias", rows)
        add(f"{block}attn_output.weight", N_EMBD, N_EMBD)
        add(f"{block}ffn_gate.weight", N_FF, N_EMBD)
        add(f"{block}ffn_up.weight", N_FF, N_EMBD)
        add(f"{block}ffn_down.weight", N_EMBD, N_FF)
        add(f"{block}attn_norm.weight", N_EMBD)
        add(f"{block}ffn_norm.weight", N_EMBD)
    add("output_norm.weight", N_EMBD)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

"""Checks of a GGUF's metadata for values on which llama.cpp aborts.

llama.cpp throws on most invalid values, which reaches us as a failed load; but some values fail an assertion, which
ends the process, or read memory out of bounds. Those, and only those, are refused here.
ref: llama.cpp src/llama-model.cpp, src/llama-vocab.cpp, ggml/src/ggml-cpu/ops.cpp
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from .parse import Array, Tensor, Value, Walker, strings
from .types import NO_WEIGHTS

RUN_TOKENIZERS = ("gpt2", "llama")
MAX_LAYERS = 512  # ref: llama.cpp `LLAMA_MAX_LAYERS`
MAX_EXPERTS = 1024
ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
ONE_HEAD_SIZE = ("qwen2", "llama")  # architectures whose graph asserts key size == value size == rotary size
ANY_HEAD_SIZE = ("seed_oss",)  # the same, where that size need not be the width shared among the heads
VECTOR_TYPES = ("F32",)  # allowed second operands of element-wise operations on f32 activations

# llama.cpp uses token 11 for a missing bos or eos, and asserts that it exists.
MIN_TOKENS = 12
TOKENIZER_ARRAYS = {  # key: item types that llama.cpp reads without a check
    "tokens": ("string",),
    "merges": ("string",),
    "scores": ("float32", "int32"),
    "token_type": ("int32",),
}


def check(walker: Walker, metadata: Mapping[str, Value], tensors: Iterable[Tensor]) -> None:
    """Raise ModelFileError for metadata or tensor types that would end the process inside llama.cpp."""
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str):
        walker.fail("does not say which architecture it is (general.architecture)")
    _check_tokenizer(walker, metadata)
    _check_shape(walker, metadata, architecture)
    _check_experts(walker, metadata, architecture)
    _check_behaviour(walker, metadata, architecture)
    _check_tensor_types(walker, tensors)


def _check_tokenizer(walker: Walker, metadata: Mapping[str, Value]) -> None:
    model = metadata.get("tokenizer.ggml.model")
    if isinstance(model, str) and model not in RUN_TOKENIZERS:
        walker.fail(f"its tokenizer is of the kind {model!r}; only {' and '.join(RUN_TOKENIZERS)} can be run")
    counts: dict[str, int] = {}
    for name, item_types in TOKENIZER_ARRAYS.items():
        value = metadata.get(f"tokenizer.ggml.{name}")
        if value is None:
            continue
        if not isinstance(value, Array) or value.item_type not in item_types:
            walker.fail(f"tokenizer.ggml.{name} is not an array of {' or '.join(item_types)}")
        counts[name] = value.count
    n_tokens = counts.get("tokens", MIN_TOKENS)
    if n_tokens < MIN_TOKENS:
        walker.fail(f"a vocabulary of {n_tokens} tokens is too small to run")
    for name in ("scores", "token_type"):
        if counts.get(name, n_tokens) < n_tokens:
            walker.fail(f"tokenizer.ggml.{name} has {counts[name]:,} items for {n_tokens:,} tokens")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Array):
        _check_tokens(walker, tokens, need_bytes=model == "llama")


def _check_tokens(walker: Walker, tokens: Array, need_bytes: bool) -> None:
    """Check tokens: none twice (llama-vocab.cpp asserts it), and all 256 byte tokens where there is byte fallback."""
    missing = {b"<0x%02X>" % byte for byte in range(256)} if need_bytes else set()
    # A set of short texts takes far more memory than their bytes: where it could exceed the file's size, take rounds.
    n_rounds = 1 + tokens.count * 128 // len(walker.data)
    for number in range(n_rounds):
        texts = _share(walker, tokens, number, n_rounds)
        seen = set(texts)
        if len(seen) < len(texts):
            seen.clear()
            twice = next(text for text in texts if text in seen or seen.add(text))  # type: ignore[func-returns-value]
            walker.fail(f"token {twice.decode(errors='replace')!r} is in the vocabulary twice")
        missing -= seen
    if missing:
        walker.fail(f"its vocabulary lacks {len(missing)} of the 256 byte tokens, such as {min(missing).decode()}")


def _share(walker: Walker, tokens: Array, number: int, n_rounds: int) -> list[bytes]:
    """Tokens of this round, as llama.cpp reads them: cut at a NUL, empty ones named by number."""
    if n_rounds == 1:
        whole = list(strings(walker.data, tokens))
        if all(whole) and b"\0" not in b"".join(whole):
            return whole
    texts = (text.partition(b"\0")[0] for text in strings(walker.data, tokens))
    named = (text or b"[EMPTY_%d]" % i for i, text in enumerate(texts))
    return [text for text in named if n_rounds == 1 or hash(text) % n_rounds == number]


def _check_shape(walker: Walker, metadata: Mapping[str, Value], architecture: str) -> None:
    def number(key: str, default: int = 0) -> int:
        value = metadata.get(f"{architecture}.{key}", default)
        if isinstance(value, Array | str) or not 0 <= value < 2**31:
            walker.fail(f"{architecture}.{key} must be one whole number, not {value!r}")
        return int(value)

    n_layer = number("block_count", 1)
    if not 1 <= n_layer <= MAX_LAYERS:
        walker.fail(f"{architecture}.block_count is {n_layer:,}; 1 to {MAX_LAYERS} can be")
    if number("nextn_predict_layers") > n_layer:
        walker.fail(f"{architecture}.nextn_predict_layers is more than its {n_layer} layers")
    if number("context_length", 1) < 1:
        walker.fail(f"{architecture}.context_length is 0")
    if architecture in ONE_HEAD_SIZE + ANY_HEAD_SIZE and f"{architecture}.attention.head_count" in metadata:
        _check_heads(walker, number, architecture)


def _check_heads(walker: Walker, number: Callable[..., int], architecture: str) -> None:
    width, n_head = number("embedding_length"), number("attention.head_count")
    n_head_kv = number("attention.head_count_kv", n_head)
    is_any = architecture in ANY_HEAD_SIZE
    if not (n_head and n_head_kv and width) or (width % n_head and not is_any) or n_head % n_head_kv:
        walker.fail(f"{n_head} heads, {n_head_kv} KV heads and a width of {width:,} do not go together")
    head_dim = number("attention.key_length", width // n_head) if is_any else width // n_head
    for key in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        if number(key, head_dim) != head_dim or not head_dim:
            walker.fail(f"{architecture}.{key} is {number(key)}, but its heads are {head_dim} wide")


def _check_experts(walker: Walker, metadata: Mapping[str, Value], architecture: str) -> None:
    def number(key: str) -> int:
        value = metadata.get(f"{architecture}.{key}", 0)
        return int(value) if isinstance(value, int) else -1

    n, used, groups = number("expert_count"), number("expert_used_count"), number("expert_group_count")
    used_groups = number("expert_group_used_count")
    fits = 0 <= n <= MAX_EXPERTS and used <= n and (used > 0) == (n > 0) and 0 <= groups < max(n, 1)
    if groups > 1:
        fits = fits and n % groups == 0 and 0 < used_groups < groups
    if not fits:
        walker.fail(f"{n} experts of which {used} are used, in {groups} groups, do not go together")


def _check_behaviour(walker: Walker, metadata: Mapping[str, Value], architecture: str) -> None:
    scaling = metadata.get(f"{architecture}.rope.scaling.type", "none")
    if scaling not in ROPE_SCALINGS:
        walker.fail(f"{architecture}.rope.scaling.type {scaling!r} is unknown")
    for kind in ("rms_epsilon", "epsilon"):
        epsilon = metadata.get(f"{architecture}.attention.layer_norm_{kind}", 0.0)
        if not isinstance(epsilon, float) or not math.isfinite(epsilon) or epsilon < 0:
            walker.fail(f"{architecture}.attention.layer_norm_{kind} is {epsilon!r}, which is no small number")
    if metadata.get(f"{architecture}.attention.causal", True) is not True:
        walker.fail("it does not generate text (attention.causal is false)")


def _check_tensor_types(walker: Walker, tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if tensor.type_name in NO_WEIGHTS:
            walker.fail(f"tensor {tensor.name!r} is of type {tensor.type_name}, which cannot be computed with")
        if len(tensor.shape) == 1 and tensor.type_name not in VECTOR_TYPES:
            walker.fail(f"tensor {tensor.name!r} is of type {tensor.type_name}; a vector must be F32")

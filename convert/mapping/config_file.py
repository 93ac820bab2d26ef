"""Values of `config.json`, each checked when it is read, and the list of its known keys.

Unknown keys are reported to the user, since they may change the model's computation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from seallm_edge.errors import CheckpointError

MAX_COUNT = 2**31 - 1
_SAME_MODEL = "take config.json from where the weights are from"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Keys that the mapping reads: written to the GGUF, or refused where their value cannot be written.
_READ = _words(
    """
    architectures hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads vocab_size
    head_dim max_position_embeddings original_max_position_embeddings rms_norm_eps rope_theta rope_scaling
    rope_parameters partial_rotary_factor hidden_act tie_word_embeddings use_sliding_window sliding_window
    max_window_layers layer_types is_causal quantization_config _name_or_path
    """
)
# Keys for training or for loading with transformers, and copies of facts that the tokenizer and the weights hold.
_HARMLESS = _words(
    """
    model_type torch_dtype dtype transformers_version use_cache initializer_range attention_dropout hidden_dropout
    bos_token_id eos_token_id pad_token_id sep_token_id unk_token_id decoder_start_token_id tokenizer_class
    attn_implementation _attn_implementation _attn_implementation_autoset _attn_implementation_internal
    unsloth_version unsloth_fixed model_name pretraining_tp gradient_checkpointing
    return_dict tf_legacy_loss chunk_size_feed_forward id2label label2id max_length min_length num_beams
    num_beam_groups num_return_sequences length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size
    diversity_penalty do_sample early_stopping temperature top_k top_p typical_p repetition_penalty
    output_attentions output_hidden_states output_scores return_dict_in_generate
    """
)
_ROPE_READ = _words(
    """
    rope_type type rope_theta factor original_max_position_embeddings partial_rotary_factor attention_factor
    attn_factor mscale mscale_all_dim beta_fast beta_slow extrapolation_factor full_attention
    """
)


@dataclass(frozen=True)
class Config:
    """Settings of `path`, a JSON object or one inside it."""

    path: PurePath
    values: Mapping[str, Any]

    def error(self, problem: str) -> CheckpointError:
        """CheckpointError for an invalid setting."""
        return CheckpointError(self.path, problem, _SAME_MODEL)

    def count(self, key: str, default: int | None = None, most: int = MAX_COUNT) -> int:
        """A whole number from 1 on. Raises CheckpointError for anything else."""
        value = self.values.get(key)
        value = default if value is None else value
        if type(value) is not int or not 1 <= value <= most:
            raise self.error(f"{key} is {value!r}, not a whole number from 1 to {most}")
        return value

    def number(self, key: str, default: Any) -> float:
        """A positive, finite number. Raises CheckpointError for anything else."""
        value = self.values.get(key)
        value = default if value is None else value
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise self.error(f"{key} is {value!r}, not a positive number")
        return float(value)

    def optional_number(self, key: str) -> float | None:
        """A positive, finite number, or None where the key is missing or null. Raises CheckpointError."""
        return None if self.values.get(key) is None else self.number(key, None)


def unknown_keys(config: Mapping[str, Any], rope: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each key that has a value and is neither read nor known to be harmless."""
    keys = [key for key in _saying(config) if key not in _READ | _HARMLESS]
    keys += [f"rope_parameters.{key}" for key in _saying(rope) if key not in _ROPE_READ]
    return tuple(f"config.json: {key} is unknown and not converted; the model may compute otherwise" for key in keys)


def _saying(settings: Mapping[str, Any]) -> Iterator[str]:
    return (key for key, value in settings.items() if value not in (None, "", [], {}) and value is not False)

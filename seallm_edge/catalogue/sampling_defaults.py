"""`sampling_defaults`: default sampling options of a model, from its card or its file's metadata."""

from __future__ import annotations

import logging
from typing import Any

from ..errors import InvalidOption
from ..gguf_file import Header
from ..sampling import Sampling
from .cards import Card, match_header

logger = logging.getLogger("seallm_edge")
_PREFIX = "general.sampling."
# GGUF key: option. ref: llama.cpp, src/llama-arch.cpp, LLM_KV_GENERAL_SAMPLING_*
_OPTIONS = {
    "temp": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "penalty_repeat": "repeat_penalty",
    "penalty_last_n": "repeat_last_n",
}


def sampling_defaults(header: Header, card: Card | None = None) -> Sampling:
    """Default sampling options of a model: its card's for a checkpoint of the catalogue, else its file's.

    Options that are stated in neither have the defaults of `Sampling`. `card` is `match_header`'s, unless given.
    """
    card = card or match_header(header)
    return Sampling().replace(card.sampling if card else file_sampling(header))


def shown_sampling(header: Header, card: Card | None = None) -> dict[str, float]:
    """Defaults by option, for the options that a card or a file may state."""
    sampling = sampling_defaults(header, card)
    return {option: getattr(sampling, option) for option in _OPTIONS.values()}


def file_sampling(header: Header) -> dict[str, Any]:
    """Options of `Sampling` in a GGUF's metadata. A value that `Sampling` refuses is logged and left out."""
    found: dict[str, Any] = {}
    for key, option in _OPTIONS.items():
        value = header.metadata.get(_PREFIX + key)
        if value is None:
            continue
        try:
            Sampling().replace({option: value})
            found[option] = round(value, 6) if isinstance(value, float) else value  # 0.7 in f32 is 0.699999988
        except InvalidOption as error:
            logger.warning("%s: %s%s is ignored: %s", header.path.name, _PREFIX, key, error.message[:200])
    return found

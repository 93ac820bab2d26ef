"""`PromptTokens`: prompts to token ids. NFC text, chat markup, and earlier replies as the tokens that the model
sampled.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from ..errors import EngineError, InvalidOption
from ..prompt.chatml import Message, PromptSegment, chatml
from ..text.unicode import normalize
from . import Engine, Vocabulary

_REMEMBERED_REPLIES = 64


class PromptTokens:
    """Tokenizer of prompts for one model. Any thread may call it. `name` is the model's, for errors."""

    def __init__(self, engine: Engine, default_system: str, name: str) -> None:
        self._engine = engine
        self._default_system = default_system
        self._name = name
        self._replies: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = threading.Lock()

    def of_text(self, text: str) -> list[int]:
        """Token ids of a text to continue. Raises InvalidOption for an empty one."""
        if not text:
            raise InvalidOption("the prompt is empty", "give some text to go on from")
        with self._engine.vocabulary() as vocabulary:
            return _opening(vocabulary) + vocabulary.tokenize(normalize(text))

    def of_messages(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a chat prompt, ending in the header of the next reply. Raises EngineError for a vocabulary
        without ChatML.
        """
        pieces = chatml(messages, self._default_system)
        with self._engine.vocabulary() as vocabulary:
            tokens, text = _opening(vocabulary), ""
            for piece in pieces:
                known = self._known(piece, vocabulary)
                if known is None:
                    text += piece.text  # tokenized together, as the checkpoint's own tokenizer does
                    continue
                tokens += vocabulary.tokenize(normalize(text)) + known
                text = ""
            return tokens + vocabulary.tokenize(normalize(text))

    def remember(self, text: str, tokens: list[int]) -> None:
        """Remember the `tokens` that a reply's `text` was sampled as: the next prompt reuses them, and with them the KV
        cache.
        """
        with self._lock:
            self._replies[text] = tokens
            self._replies.move_to_end(text)
            if len(self._replies) > _REMEMBERED_REPLIES:
                self._replies.popitem(last=False)

    def _known(self, piece: PromptSegment, vocabulary: Vocabulary) -> list[int] | None:
        """Token ids of markup, or of a reply that the model itself sampled; None for other text."""
        if not piece.is_control:
            return self._replies.get(piece.text) if piece.is_reply else None
        token = vocabulary.control_token(piece.text)
        if token is None:
            raise EngineError(
                f"{self._name} has no token {piece.text}: it does not know ChatML",
                "use a SeaLLMs or another ChatML model, or complete() for plain text",
            )
        return [token]


def _opening(vocabulary: Vocabulary) -> list[int]:
    return [vocabulary.bos] if vocabulary.add_bos else []

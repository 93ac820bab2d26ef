"""`PromptTokens`: prompts to token ids. NFC text, chat markup, and earlier replies as the tokens that the model
sampled.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from ..errors import EngineError, InvalidOption
from ..prompt.chatml import Message, PromptSegment
from ..prompt.templates import ChatFormat
from ..text.unicode import normalize
from . import Engine, Vocabulary

_REMEMBERED_REPLIES = 64


class PromptTokens:
    """Tokenizer of prompts for one model. Any thread may call it. `name` is the model's, for errors."""

    def __init__(self, engine: Engine, chat_format: ChatFormat, name: str) -> None:
        self._engine = engine
        self._format = chat_format
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
        """Token ids of a chat prompt, ending in the header of the next reply.

        Raises InvalidOption for messages that the chat format refuses, EngineError where its tokens are missing.
        """
        segments = self._format.segments(messages)
        with self._engine.vocabulary() as vocabulary:
            tokens, text = _opening(vocabulary) if self._format.adds_bos else [], ""
            for segment in segments:
                known = self._known(segment, vocabulary)
                if known is None:
                    text += segment.text  # tokenized together, as the checkpoint's own tokenizer does
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

    def _known(self, segment: PromptSegment, vocabulary: Vocabulary) -> list[int] | None:
        """Token ids of markup, or of a reply that the model itself sampled; None for other text."""
        if not segment.is_control:
            return self._replies.get(segment.text) if segment.is_reply else None
        token = vocabulary.control_token(segment.text)
        if token is None:
            raise EngineError(
                f"{self._name} has no token {segment.text}, which its chat format needs",
                "use a SeaLLMs or another ChatML model, or complete() for plain text",
            )
        return [token]


def _opening(vocabulary: Vocabulary) -> list[int]:
    return [vocabulary.bos] if vocabulary.add_bos else []

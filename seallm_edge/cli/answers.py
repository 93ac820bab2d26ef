"""Answers of `seallm run` on stdout: one, several to one prompt, or the next turn of a stored conversation."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from ..errors import InvalidOption, SeaLLMError
from .output import diagnostic
from .progress import text_of

if TYPE_CHECKING:
    from ..chat import Conversation
    from ..llm import Prompt, SeaLLM
    from ..reply import Reply


@dataclass(frozen=True)
class Answers:
    """Printer of replies: as text while they stream, or with `is_json` as one line of JSON each at their end. With
    `has_stats`, sizes and speeds follow on stderr.
    """

    is_json: bool
    has_stats: bool

    def one(self, llm: SeaLLM, prompt: Prompt, asked: Mapping[str, Any]) -> None:
        """Print one reply; `asked` are the options of `SeaLLM.stream`."""
        stream = llm.stream(prompt, **asked)
        self._show(text_of(stream, lambda: stream.prompt_share))
        self._tell(stream.reply, {"model": llm.name})

    def several(self, llm: SeaLLM, prompt: Prompt, n: int, asked: Mapping[str, Any]) -> None:
        """Print `n` replies to one prompt, each below a line with its number; the first one as it streams."""
        from ..stream import interleave

        streams = llm.stream_choices(prompt, n, **asked)
        deltas = text_of(interleave(streams), lambda: streams[0].prompt_share)
        self._number(1, n)
        self._show(delta for index, delta in deltas if index == 0)
        for number, stream in enumerate(streams, 1):
            if number > 1:
                self._number(number, n)
                self._show([stream.reply.text])
            self._tell(stream.reply, {"model": llm.name})

    def turn(self, conversation: Conversation, message: str) -> None:
        """Print the reply to the next message of a conversation, which keeps both as they come.

        Raises SeaLLMError if the reply is empty: the conversation then stays as it was. Exits with 1 if the history
        file could not be written.
        """
        with contextlib.closing(conversation.say(message)) as deltas:
            self._show(text_of(deltas, lambda: conversation.prompt_share or 0.0))
        reply = conversation.last_reply
        if reply is None:
            raise SeaLLMError("the reply is empty: the conversation stays as it was", "ask in other words")
        self._tell(reply, {"model": conversation.llm.name, "session": conversation.id})
        if not conversation.save():
            raise typer.Exit(1)

    def _number(self, number: int, n: int) -> None:
        if not self.is_json:
            print(f"--- {number} of {n} ---", flush=True)

    def _show(self, deltas: Iterable[str]) -> None:
        """Print text as it comes, flushed; a line feed ends what was printed, also of a reply that is interrupted."""
        is_begun = False
        try:
            for delta in deltas:
                if not self.is_json:
                    is_begun = True
                    print(delta, end="", flush=True)
        except (KeyboardInterrupt, SeaLLMError):
            if is_begun:
                print(flush=True)
            raise
        if not self.is_json:
            print(flush=True)

    def _tell(self, reply: Reply, facts: Mapping[str, Any]) -> None:
        if self.is_json:
            print(json.dumps({**facts, **reply.as_dict()}, ensure_ascii=False), flush=True)
        if self.has_stats:
            diagnostic(describe(reply))


def require_chat_model(llm: SeaLLM) -> None:
    """Raise InvalidOption for a base model, which has no conversations."""
    if not llm.is_chat_model:
        raise InvalidOption(
            f"{llm.name} is a base model: it continues a text, and has no conversations",
            "leave out --session, or name a chat model",
        )


def describe(reply: Reply) -> str:
    """One line with a reply's token counts and speed."""
    return (
        f"{reply.usage.prompt_tokens:,} tokens read ({reply.usage.cached_tokens:,} of them cached) "
        f"in {reply.timings.prefill_seconds:.1f} s, {reply.usage.reply_tokens:,} tokens written, "
        f"{reply.characters_per_second:.0f} characters/s ({reply.tokens_per_second:.1f} tokens/s), "
        f"{reply.timings.speedup_in_words}ended by {reply.finish_reason}"
    )

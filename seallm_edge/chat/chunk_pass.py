"""`ChunkPass`: a question put to each chunk of a long document in turn, outside the conversation. Knows no screen.

    a_pass = ChunkPass(conversation, document, question, space)
    for number in a_pass.run():
        print("part", number, "of", len(a_pass.parts))
    conversation.say(f"{a_pass.message_part()}\n{question}")

The notes that the model takes on each part go into one message of the conversation, with the question.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from .. import documents
from ..errors import InvalidOption
from ..hints import Hint, Option
from ..prompt.chatml import Message
from .conversation import Conversation

_MAX_NOTE_TOKENS = 256
_NOTE_SHARE = 8  # of the context, at most, for the notes on one part
_MARGIN = 16  # tokens by which a text may grow between others
_MIN_SHRINKAGE = 2  # tokens of a part for each token of its notes, so that notes on notes come to an end


@dataclass(frozen=True)
class Note:
    """Notes on part `number` of a document; `is_cut` where they reached their longest, or were stopped."""

    number: int
    text: str
    is_cut: bool


class ChunkPass:
    """Pass over a document that is too long for the context.

    `space` is the number of tokens that the notes and the question may take. `parts` are those of the document, `notes`
    those taken so far. Raises InvalidOption where the question leaves too little of the context for a part.
    """

    def __init__(self, conversation: Conversation, document: documents.Document, question: str, space: int) -> None:
        self._conversation = conversation
        self._document = document
        self._question = question
        self._space = space
        n_ctx = conversation.llm.n_ctx
        self.note_tokens = min(_MAX_NOTE_TOKENS, n_ctx // _NOTE_SHARE, self._max_tokens())
        self._n_around = conversation.llm.count_tokens(self._prompt(1, "", 10**6)) + _MARGIN
        self._budget = n_ctx - self._n_around - self.note_tokens
        if self._budget < _MIN_SHRINKAGE * (self.note_tokens + _MARGIN):
            raise InvalidOption(
                f"the question leaves {max(0, self._budget):,} of {n_ctx:,} tokens for each part of {document.name}",
                Hint("shorten it, or give a larger {context}", context=Option("context")),
            )
        self.parts: tuple[documents.Part, ...] = tuple(documents.chunks(document.text, self._count, self._budget))
        self.notes: list[Note] = []

    @property
    def prompt_tokens(self) -> int:
        """Tokens that the pass reads, chat markup included."""
        return sum(part.n_tokens + self._n_around for part in self.parts)

    @property
    def reply_tokens(self) -> int:
        """Most tokens that the pass writes."""
        return self.note_tokens * len(self.parts)

    @property
    def n_cut(self) -> int:
        """Number of notes that are cut."""
        return sum(note.is_cut for note in self.notes)

    def run(self) -> Generator[int, None, None]:
        """Put the question to each part that has no notes yet; yields the number of a part before it is read.

        A pass that is interrupted keeps its notes, those on the part under way as far as they were read. Raises the
        errors of `SeaLLM.stream`.
        """
        for number in range(len(self.notes) + 1, len(self.parts) + 1):
            yield number
            self._read(number)

    def message_part(self) -> str:
        """Part of a message: the name of the document, and the notes so far."""
        return f"{self._introduction()}\n\n{self._joined()}\n"

    def condensation(self) -> ChunkPass | None:
        """Pass over the notes, where their message takes more tokens than it may; None where it fits."""
        if self._count(f"{self.message_part()}\n{self._question}") + _MARGIN <= self._space:
            return None
        notes = replace(self._document, name=f"notes on {self._document.name}", text=self._joined())
        return ChunkPass(self._conversation, notes, self._question, self._space)

    def _read(self, number: int) -> None:
        llm, sampling = self._conversation.llm, self._conversation.sampling
        prompt = self._prompt(number, self.parts[number - 1].text, len(self.parts))
        stream = llm.stream(prompt, **{**sampling, "max_tokens": self.note_tokens})
        try:
            stream.read()
        finally:
            stream.close()
            reply = stream.reply
            is_cut, text = reply.finish_reason != "stop", reply.text.strip()
            if text or not is_cut:
                self.notes.append(Note(number, text or "-", is_cut))

    def _prompt(self, number: int, text: str, n_parts: int) -> list[Message]:
        part = documents.as_message_part(replace(self._document, text=text))
        task = (
            f"This is part {number} of {n_parts} of the document. Write short notes on what it says about the "
            'following, in the language of the question. Write only "-" if it says nothing about it.'
        )
        system = self._conversation.system
        opening = [] if system is None else [Message("system", system)]
        return [*opening, Message("user", f"{part}\n{task}\n\n{self._question}")]

    def _introduction(self) -> str:
        name, n = self._document.name, len(self.parts)
        if len(self.notes) == n:
            return f"Document {name}, read in {n} parts; notes on each:"
        return f"Document {name}, of whose {n} parts these were read; notes on each:"

    def _joined(self) -> str:
        return "\n\n".join(f"Part {note.number}: {note.text}" for note in self.notes)

    def _count(self, text: str) -> int:
        return len(self._conversation.llm.tokenize(text))

    def _max_tokens(self) -> int:
        """Longest reply that the user wants."""
        return int(self._conversation.llm.sampling.replace(self._conversation.sampling).max_tokens or _MAX_NOTE_TOKENS)

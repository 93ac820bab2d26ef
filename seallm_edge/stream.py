"""`Stream`: one reply while it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator

from .engine import Engine, Sequence
from .native.model import Vocabulary
from .reply import FinishReason, Reply, Timings, Usage
from .sampling import Sampling
from .text import TextStream

# A character has 4 bytes of UTF-8 at most, and a token one at least.
_TOKENS_TO_FINISH_A_CHARACTER = 3
OnTokens = Callable[[str, list[int]], None]


class Stream(Iterator[str]):
    """Iterate for the text in pieces of whole characters; `read()` takes all that is left.

    `reply` sums up what has come so far. `close()` stops the writing; so does dropping the stream. Iterating raises
    EngineBusy while another stream of the same model is writing, EngineError if the model was closed.
    `on_tokens(text, tokens)` is told at the end, where the tokens spell just that text.
    """

    def __init__(
        self, engine: Engine, prompt: list[int], sampling: Sampling, on_tokens: OnTokens | None = None
    ) -> None:
        # The generator knows the writer and not this object: a stream that is dropped is closed at once.
        self._writer = _Writer(engine, prompt, sampling, on_tokens)
        self._pieces = self._writer.write()

    def __next__(self) -> str:
        return next(self._pieces)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> Reply:
        """The whole reply."""
        for _ in self:
            pass
        return self.reply

    def close(self) -> None:
        """Stop writing; what was written stays in `reply`."""
        self._pieces.close()

    @property
    def reply(self) -> Reply:
        """The reply as far as it has come; `cancelled` until it ends by itself."""
        return self._writer.reply()


class _Writer:
    """Reads the prompt, then turns token after token into text, and keeps count."""

    def __init__(self, engine: Engine, prompt: list[int], sampling: Sampling, on_tokens: OnTokens | None) -> None:
        self._engine = engine
        self._prompt = prompt
        self._sampling = sampling
        self._on_tokens = on_tokens
        self._cached_tokens = 0
        self._tokens: list[int] = []
        self._bytes = bytearray()
        self._shown: list[str] = []
        self._finish_reason: FinishReason = "cancelled"
        self._prompt_seconds = self._first_text_seconds = self._total_seconds = 0.0

    def reply(self) -> Reply:
        text = "".join(self._shown)
        usage = Usage(len(self._prompt), self._cached_tokens, len(self._tokens), len(text))
        timings = Timings(self._prompt_seconds, self._first_text_seconds, self._total_seconds)
        return Reply(text, self._finish_reason, usage, timings)

    def write(self) -> Generator[str]:
        started = time.perf_counter()
        text = TextStream(self._sampling.stop)
        with self._engine.writing() as (sequence, vocabulary):
            self._read_prompt(sequence)
            self._prompt_seconds = self._total_seconds = time.perf_counter() - started
            try:
                for data in self._sample(sequence, vocabulary, text):
                    piece = text.feed(data)
                    self._total_seconds = time.perf_counter() - started
                    if piece:
                        self._first_text_seconds = self._first_text_seconds or self._total_seconds
                        self._shown.append(piece)
                        yield piece
                    if text.stopped:
                        self._finish_reason = "stop"
                        break
            finally:
                if rest := text.finish():
                    self._shown.append(rest)
                self._report_tokens()
            if rest:
                yield rest

    def _read_prompt(self, sequence: Sequence) -> None:
        self._cached_tokens = sequence.reusable(self._prompt)
        chunks = sequence.read(self._prompt)
        more = True
        while more:  # each chunk is a step of its own, so that Ctrl-C and close() need not wait for all of them
            with self._engine.step:
                more = next(chunks, None) is not None

    def _sample(self, sequence: Sequence, vocabulary: Vocabulary, text: TextStream) -> Generator[bytes]:
        """The bytes of token after token, until one ends the reply or it is long enough."""
        tokens = sequence.write(self._sampling)
        try:
            while not self._is_long_enough(text):
                with self._engine.step:
                    token = next(tokens, None)
                    if token is None:
                        break
                    if vocabulary.ends_generation(token):
                        self._finish_reason = "stop"
                        return
                    data = vocabulary.piece(token)
                self._tokens.append(token)
                self._bytes += data
                yield data
            self._finish_reason = "length"
        finally:
            tokens.close()

    def _is_long_enough(self, text: TextStream) -> bool:
        """Whether `max_tokens` are written. A character that was begun is finished first: in Burmese or Khmer most
        tokens are parts of one, and a cut would leave a broken character more often than not.
        """
        limit = self._sampling.max_tokens
        if limit is None or len(self._tokens) < limit:
            return False
        return not text.is_midway or len(self._tokens) >= limit + _TOKENS_TO_FINISH_A_CHARACTER

    def _report_tokens(self) -> None:
        text = "".join(self._shown)
        if self._on_tokens and text.encode() == self._bytes:  # not so after a stop text, or a cut character
            self._on_tokens(text, list(self._tokens))

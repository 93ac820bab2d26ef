"""`ScriptedEngine`: an engine without a model, for the tests of an app. Its replies are given beforehand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import EngineError
from ..native.sampler import Chosen
from ..prompt.chatml import END, START
from ..sampling import Sampling
from .contract import ModelInfo, Request, Vocabulary, closed_error
from .output_queue import OutputQueue
from .sequence import ReplySequence
from .stats import EngineStats

Script = str | Exception | Callable[[str], str]
_CONTROLS = (START, END)
_FIRST_CONTROL = 256


class ScriptedEngine:
    """Answers each request with the next of `replies`: a text, an exception to raise, or a function that is given the
    whole prompt as text and returns a reply. After the last, EngineError.

        llm = SeaLLM.from_engine(ScriptedEngine(["Halo!", "Sampai jumpa."]))

    Replies come through the same path as a model's: in whole characters, with `max_tokens`, stop texts and `cancel()`.
    A token is a byte of UTF-8. `delay` is in seconds a token: with some, a reply takes its time on a thread of its own;
    without, it is there at once. `requests` lists what was asked for, and `prompts` the same as texts. A schema or
    grammar is not looked at.
    """

    def __init__(self, replies: Iterable[Script], *, delay: float = 0.0, n_ctx: int = 8192, chats: bool = True) -> None:
        self.info = ModelInfo("scripted", chats, "You are a helpful assistant.", Sampling(), n_ctx, n_ctx, 1)
        self.plan = None
        self.requests: list[Request] = []
        self._replies = iter(replies)
        self._delay = delay
        self._vocabulary = ByteVocabulary()
        self._lock = threading.Lock()
        self._sequences: list[ReplySequence] = []
        self._is_closed = threading.Event()

    @property
    def is_loaded(self) -> bool:
        """Whether it is open."""
        return not self._is_closed.is_set()

    @property
    def prompts(self) -> list[str]:
        """Prompts so far as text, markup included."""
        return [self._vocabulary.text(request.tokens) for request in self.requests]

    @contextmanager
    def vocabulary(self) -> Iterator[Vocabulary]:
        """256 byte tokens and ChatML's two control tokens. Raises EngineError after `close()`."""
        self._require_open()
        yield self._vocabulary

    def submit(self, request: Request) -> ReplySequence:
        """Start the next scripted reply. Raises EngineError after `close()`."""
        self._require_open()
        sequence = ReplySequence(request, OutputQueue())
        with self._lock:
            self.requests.append(request)
            self._sequences.append(sequence)
            script = next(self._replies, EngineError("the script has no more replies", "give ScriptedEngine more"))
        if self._delay:
            threading.Thread(target=self._write, args=(sequence, script), name="scripted-reply", daemon=True).start()
        else:
            self._write(sequence, script)
        return sequence

    def stats(self) -> EngineStats:
        """Totals of the tokens written so far; it has no KV cache."""
        return EngineStats(generated_tokens=sum(len(sequence.tokens) for sequence in self._sequences))

    def close(self) -> None:
        """End running replies with an error. Safe twice."""
        self._is_closed.set()

    def _write(self, sequence: ReplySequence, script: Script) -> None:
        sequence.record_prefill()
        try:
            text = script(self._vocabulary.text(sequence.request.tokens)) if callable(script) else script
        except Exception as error:  # noqa: BLE001  the reader is who should see it
            text = error
        if isinstance(text, Exception):
            sequence.fail(text)
            return
        for token in [*text.encode(), self._vocabulary.end]:
            if self._delay:
                time.sleep(self._delay)
            if sequence.output.is_cancelled:
                sequence.drop()
                return
            if self._is_closed.is_set():
                sequence.fail(closed_error())
                return
            if not sequence.take(Chosen(token), self._vocabulary):
                return

    def _require_open(self) -> None:
        if self._is_closed.is_set():
            raise closed_error()


class ByteVocabulary:
    """Byte tokenizer: one token a byte, and one for each of ChatML's two control tokens."""

    n_tokens = _FIRST_CONTROL + len(_CONTROLS)
    add_bos = False
    bos = -1
    end = _FIRST_CONTROL + _CONTROLS.index(END)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Bytes of `text`; with `special`, the name of a control token alone is that token."""
        token = self.control_token(text) if special else None
        return list(text.encode()) if token is None else [token]

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Bytes of one token; a control token's name only with `special`."""
        if token < _FIRST_CONTROL:
            return bytes([token])
        return _CONTROLS[token - _FIRST_CONTROL].encode() if special else b""

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """Bytes of `tokens`, in order."""
        return b"".join(self.piece(token, special=special) for token in tokens)

    def ends_generation(self, token: int) -> bool:
        """Whether `token` ends a message."""
        return token == self.end

    def control_token(self, name: str) -> int | None:
        """Token id of a control token."""
        return _FIRST_CONTROL + _CONTROLS.index(name) if name in _CONTROLS else None

    def text(self, tokens: Sequence[int]) -> str:
        """Text of `tokens`, control tokens included."""
        return self.detokenize(tokens, special=True).decode("utf-8", "replace")

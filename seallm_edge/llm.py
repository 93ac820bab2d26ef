"""`SeaLLM`: a model that chats. The public object."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from .catalogue.cards import Card
from .constraint import Constraint, GrammarCompiler
from .engine import Engine, EngineStats, ModelInfo, Request
from .engine.prompt_tokens import PromptTokens
from .errors import ContextOverflow, InvalidOption
from .files.sizes import readable
from .gguf_file import Header
from .hints import Command, Hint, Option
from .loading import load_engine, resolve
from .plan import LoadOptions, Plan
from .plan.memory import n_cells
from .prompt.chatml import Message, as_messages
from .prompt.templates import ChatML
from .reply import Reply
from .stream import AsyncStream, Stream
from .text.languages import guess
from .text.unicode import normalize

Prompt = str | Iterable[Message | Mapping[str, Any]]
Schema = Mapping[str, Any] | bool | str | type
_REPLY_ROOM = 256  # tokens that a hint leaves for the answer
_MAX_CHOICES = 64
_DEFAULTS = LoadOptions()


class SeaLLM:
    """A loaded model: `SeaLLM("seallms-v3-1.5b-chat")`, or the path of a GGUF.

    context         tokens of KV memory, shared by all replies under way; None takes what fits, at most 8,192
    threads         CPU threads; None takes the performance cores that this process may use
    gpu_layers      layers on the GPU; "auto" takes as many as fit
    cache_type_k/v  types of the KV memory, "f16" unless given; smaller ones save memory and cost quality
    flash_attention None lets llama.cpp decide
    drafting        speculative decoding: "auto" drafts from n-gram tables and by prompt lookup where that is faster,
                    without changing the text; "off" does not; a smaller model of the same vocabulary drafts where it
                    is named here
    prefix_cache    bytes of memory for conversations that have to leave the KV memory; None takes up to an eighth of
                    what is free, at most 1 GiB; 0 keeps nothing of a prompt once it is answered
    snapshots       keep conversations on disk, so that a restart need not read them again; True, or a folder
    keep_alive      seconds without work after which the weights leave memory, to be loaded again when needed
    force           load even where memory seems too small
    on_progress     gets a share from 0 to 1 while the weights load

    Raises ModelNotFound, ModelFileError, NotEnoughMemory, InvalidOption or EngineError. Any thread may ask, many at
    once. A context manager: leaving it frees everything, as `close()` does. `plan` says what was chosen and why.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        context: int | None = _DEFAULTS.context,
        threads: int | None = _DEFAULTS.threads,
        gpu_layers: int | Literal["auto"] = _DEFAULTS.gpu_layers,
        cache_type_k: str | None = _DEFAULTS.cache_type_k,
        cache_type_v: str | None = _DEFAULTS.cache_type_v,
        flash_attention: bool | None = _DEFAULTS.flash_attention,
        drafting: str | Path = _DEFAULTS.drafting,
        prefix_cache: int | None = _DEFAULTS.prefix_cache,
        snapshots: bool | str | Path = _DEFAULTS.snapshots,
        keep_alive: float | None = _DEFAULTS.keep_alive,
        force: bool = _DEFAULTS.force,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        options = LoadOptions(
            context=context,
            threads=threads,
            gpu_layers=gpu_layers,
            cache_type_k=cache_type_k,
            cache_type_v=cache_type_v,
            flash_attention=flash_attention,
            drafting=drafting,
            prefix_cache=prefix_cache,
            snapshots=snapshots,
            keep_alive=keep_alive,
            force=force,
        )
        target = resolve(model, options)
        self.header: Header | None = target.header
        self.card: Card | None = target.card
        self.plan: Plan | None = target.plan
        self._set_up(load_engine(target, options, on_progress))

    @classmethod
    def from_engine(cls, engine: Engine) -> SeaLLM:
        """A SeaLLM over another engine, such as a `ScriptedEngine`. It has no `header`, `card` or `plan`."""
        self = cls.__new__(cls)
        self.header = self.card = self.plan = None
        self._set_up(engine)
        return self

    @classmethod
    def over(cls, engine: Engine) -> SeaLLM:
        """Alias of `from_engine`."""
        return cls.from_engine(engine)

    def _set_up(self, engine: Engine) -> None:
        self.info: ModelInfo = engine.info
        self.name = self.info.name
        self.sampling = self.info.sampling
        self._engine = engine
        self._tokens = PromptTokens(engine, self.info.chat_format or ChatML(self.info.default_system), self.name)
        self._compiler: GrammarCompiler | None = None

    def stream(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: str | None = None, **sampling: Any
    ) -> Stream:
        """A `Stream` of the reply's text, in whole characters, as it is written.

        `prompt` is one user message, or messages. A base model, which knows no messages, goes on from the text. With
        `schema` (a JSON schema, or a pydantic model class) the reply is JSON that satisfies it; with `grammar` it is a
        text of that GBNF grammar; cut at `max_tokens`, as `finish_reason` says, it may be the beginning of one.
        Options are those of `Sampling`. Raises InvalidOption or ContextOverflow at once.
        """
        return self._start(*self._read(prompt), schema, grammar, sampling)

    def chat(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: str | None = None, **sampling: Any
    ) -> Reply:
        """The whole `Reply` to `prompt`; see `stream`."""
        return self.stream(prompt, schema=schema, grammar=grammar, **sampling).read()

    def choices(
        self, prompt: Prompt, n: int, *, schema: Schema | None = None, grammar: str | None = None, **sampling: Any
    ) -> list[Reply]:
        """`n` replies to one prompt; see `stream`. They come side by side, and the prompt is read once. With a `seed`,
        each has its own: seed, seed + 1, and so on.
        """
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= _MAX_CHOICES:
            raise InvalidOption(f"n is {n!r}", f"give a whole number from 1 to {_MAX_CHOICES}")
        tokens, words = self._read(prompt)
        seed = self.sampling.replace(sampling).seed
        seeds = [sampling if seed is None else {**sampling, "seed": seed + i} for i in range(n)]
        streams = [self._start(tokens, words, schema, grammar, options) for options in seeds]
        return [stream.read() for stream in streams]

    def astream(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: str | None = None, **sampling: Any
    ) -> AsyncStream:
        """As `stream`, for `async for`; errors come with the first piece. No event loop is ever blocked."""
        return AsyncStream(functools.partial(self.stream, prompt, schema=schema, grammar=grammar, **sampling))

    async def achat(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: str | None = None, **sampling: Any
    ) -> Reply:
        """As `chat`, awaited; cancelling the task stops the reply."""
        return await self.astream(prompt, schema=schema, grammar=grammar, **sampling).read()

    def complete(self, text: str, **options: Any) -> Reply:
        """A `Reply` that goes on from `text`, with no chat around it; for base models. Options as for `stream`."""
        return self.complete_stream(text, **options).read()

    def complete_stream(
        self, text: str, *, schema: Schema | None = None, grammar: str | None = None, **sampling: Any
    ) -> Stream:
        """A `Stream` that goes on from `text`, with no chat around it. Options as for `stream`."""
        return self._start(self._tokens.of_text(text), text, schema, grammar, sampling)

    def count_tokens(self, messages: Prompt) -> int:
        """Number of context tokens that a prompt takes, chat markup included."""
        return len(self._read(messages)[0])

    def count(self, messages: Prompt) -> int:
        """Alias of `count_tokens`."""
        return self.count_tokens(messages)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`, taken as NFC; names of control tokens stand for them only with `special`."""
        with self._engine.vocabulary() as vocabulary:
            return vocabulary.tokenize(normalize(text), special=special)

    def detokenize(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """The text of `tokens`; U+FFFD for bytes that make no character. Control tokens show only with `special`."""
        with self._engine.vocabulary() as vocabulary:
            return vocabulary.detokenize(list(tokens), special=special).decode("utf-8", "replace")

    @property
    def n_ctx(self) -> int:
        """Tokens of the context."""
        return self.info.n_ctx

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory now: `keep_alive` may have let them go until they are needed."""
        return self._engine.is_loaded

    @property
    def is_chat_model(self) -> bool:
        """Whether prompts are messages; False for base models, which continue a text."""
        return self.info.is_chat_model

    @property
    def chats(self) -> bool:
        """Alias of `is_chat_model`."""
        return self.is_chat_model

    @property
    def about(self) -> ModelInfo:
        """Alias of `info`."""
        return self.info

    def stats(self) -> EngineStats:
        """What the engine does now and has done: requests, KV cache cells, tokens, draft acceptance."""
        return self._engine.stats()

    def close(self) -> None:
        """Free the weights and the KV memory. Replies being written end with EngineError. Safe twice, and dropping the
        object does it too.
        """
        self._engine.close()

    def __enter__(self) -> SeaLLM:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        kind = f" ({self.header.file_type_name})" if self.header else ""
        return f"<SeaLLM {self.name}{kind}, context {self.n_ctx:,}>"

    def _read(self, prompt: Prompt) -> tuple[list[int], str]:
        """(the tokens of a prompt, its words)."""
        if not self.is_chat_model and isinstance(prompt, str):
            return self._tokens.of_text(prompt), prompt
        if not self.is_chat_model:
            raise self._no_messages()
        if isinstance(prompt, str) and not prompt.strip():
            raise InvalidOption("the prompt is empty", "say something")
        messages = as_messages(prompt)
        return self._tokens.of_messages(messages), "\n".join(message.content for message in messages)

    def _no_messages(self) -> InvalidOption:
        complete = Command("run")
        if self.header and self.header.has_chat_template and not self.card:
            problem = f"the chat template of {self.name} cannot be rendered, so it takes no messages"
            return InvalidOption(problem, Hint("use {complete}; the log says what is wrong with it", complete=complete))
        return InvalidOption(
            f"{self.name} is a base model: it continues a text and takes no messages",
            Hint("use {complete}, or the chat model of the same size", complete=complete),
        )

    def _start(
        self, tokens: list[int], words: str, schema: Schema | None, grammar: str | None, options: Mapping[str, Any]
    ) -> Stream:
        sampling = self.sampling.replace(options)
        if len(tokens) >= self.n_ctx:  # there must be room for one token of reply
            language = guess(words)
            described = f"{language.name}, " if language else ""
            raise ContextOverflow(
                len(tokens), self.n_ctx, f"{described}{len(words):,} characters", self._more_context(len(tokens))
            )
        request = Request(tokens, sampling, self._constraint(schema, grammar))
        return Stream(self._engine.submit(request), len(tokens), self._tokens.remember, owner=self)

    def _constraint(self, schema: Schema | None, grammar: str | None) -> Constraint | None:
        if grammar is not None and schema is not None:
            raise InvalidOption("both a schema and a grammar are given", "give one of them")
        if grammar is not None:
            return self._grammars().gbnf(grammar).start()
        return None if schema is None else self._grammars().schema(schema).start()

    def _grammars(self) -> GrammarCompiler:
        if self._compiler is None:
            with self._engine.vocabulary() as vocabulary:
                self._compiler = self._compiler or GrammarCompiler(vocabulary)
        return self._compiler

    def _more_context(self, n_tokens: int) -> Hint:
        enough = n_cells(n_tokens + _REPLY_ROOM)
        if enough > self.info.max_context:
            return Hint(f"shorten it: this model reads {self.info.max_context:,} tokens at most")
        size = readable((enough - self.n_ctx) * self.info.bytes_per_token)
        return Hint(f"shorten it, or give {{context}} (needs {size} more)", context=Option("context", enough))

"""`Engine`: weights, vocabulary and one sequence, for one piece of work at a time from whichever thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import EngineBusy, EngineError
from ..native.context import Context
from ..native.model import Model, Vocabulary
from ..plan import Plan
from .sequence import Sequence


class Engine:
    """A model loaded as `plan` says. `close()` frees everything; it waits for the step that is running, and is safe
    twice. Raises EngineError if llama.cpp fails; `on_progress` gets a share from 0 to 1 while the weights load.
    """

    def __init__(self, path: Path, plan: Plan, on_progress: Callable[[float], None] | None = None) -> None:
        self.step = Step()
        self._is_writing = False
        self._model = Model(path, n_gpu_layers=plan.gpu_layers, on_progress=on_progress)
        try:
            self._context = Context(self._model, n_ctx=plan.n_ctx, n_batch=plan.n_batch, n_threads=plan.threads)
        except BaseException:
            self._model.close()
            raise
        self._sequence = Sequence(self._context, plan.n_batch)

    @contextmanager
    def vocabulary(self) -> Iterator[Vocabulary]:
        """The vocabulary, for a short piece of work. Raises EngineError after `close()`."""
        with self.step:
            yield self._model.vocabulary

    @contextmanager
    def writing(self) -> Iterator[tuple[Sequence, Vocabulary]]:
        """The sequence and the vocabulary for one reply; use them inside `step`. Raises EngineBusy while another
        reply has them.
        """
        with self.step:
            if self._is_writing:
                raise EngineBusy
            self._is_writing = True
        try:
            yield self._sequence, self._model.vocabulary
        finally:
            self._is_writing = False

    def close(self) -> None:
        """Free the KV memory and the weights."""
        with self.step.last():
            self._context.close()
            self._model.close()


class Step:
    """Entered for one piece of native work: nobody else uses or frees native memory meanwhile.

    Entering raises EngineError once `last` was entered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_over = False

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._is_over:
            self._lock.release()
            raise EngineError("this model is closed", "load it again with SeaLLM(…)")

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def last(self) -> Iterator[None]:
        """As entering, without the error: after it no other piece of work begins."""
        with self._lock:
            self._is_over = True
            yield

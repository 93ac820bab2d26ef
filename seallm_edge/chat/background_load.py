"""`BackgroundLoad`: a model that loads on a thread of its own, while its user already reads and types."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import SeaLLMError
from ..native.interruptible import THREAD_NAME

if TYPE_CHECKING:
    from ..llm import SeaLLM

OnProgress = Callable[[float], None]
Load = Callable[[OnProgress], "SeaLLM"]

_LOOK_UP_SECONDS = 0.1  # Windows lets Ctrl-C through between two waits only
_GRACE_SECONDS = 2.0  # for a load that was cancelled: it ends within one tensor


class BackgroundLoad:
    """Load of a model on a thread: `wait()` returns the `SeaLLM`.

    `load(on_progress)` makes the model, as `lambda on_progress: SeaLLM(name, on_progress=on_progress)` does. `share` is
    the part that is loaded, from 0 to 1. With `is_waiting` the load begins with `begin` or `wait`.
    """

    def __init__(self, load: Load, *, is_waiting: bool = False) -> None:
        self.share = 0.0
        self._load = load
        self._llm: SeaLLM | None = None
        self._error: BaseException | None = None
        self._is_cancelled = False
        self._ended = threading.Event()
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()
        if not is_waiting:
            self.begin()

    def begin(self) -> None:
        """Begin to load; later calls have no effect."""
        self._begun.set()

    @property
    def is_loading(self) -> bool:
        """Whether the load has not ended yet, in a model or in an error."""
        return not self._ended.is_set()

    @property
    def error(self) -> BaseException | None:
        """Error that ended the load, None before and without one."""
        return self._error

    def wait(self) -> SeaLLM:
        """The model, once it is loaded. Raises what the load raised. A signal ends the wait, not the load."""
        self.begin()
        while not self._ended.wait(_LOOK_UP_SECONDS):
            pass
        if self._llm is None:
            raise self._error or _ended()
        return self._llm

    def close(self) -> None:
        """End the load, or close the loaded model. Safe twice."""
        self._is_cancelled = True
        self.begin()
        self._thread.join(_GRACE_SECONDS)
        if self._llm is not None:
            self._llm.close()

    def _run(self) -> None:
        self._begun.wait()
        try:
            self._on_progress(0.0)
            llm = self._load(self._on_progress)
            if self._is_cancelled:
                llm.close()
            self._llm = llm
        except BaseException as error:  # noqa: BLE001  `wait` raises it
            self._error = error
        finally:
            self._ended.set()

    def _on_progress(self, share: float) -> None:
        self.share = share
        if self._is_cancelled:
            raise _ended()


def _ended() -> SeaLLMError:
    return SeaLLMError("the load of the model was ended", "load it again")

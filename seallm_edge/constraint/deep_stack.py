"""Calls with room for deep recursion in native code, which would take the process down where the stack ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
_PAGE = 4096  # bytes; the stack must be whole pages
_turn = threading.Lock()  # the size of a new thread's stack is one setting for the whole process


def call_on_deep_stack(function: Callable[[], Result], n_bytes: int) -> Result:
    """What `function` returns or raises, called on a thread with a stack of about `n_bytes`.

    Memory is taken only as far as the stack is used.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  it is raised again, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="seallm-deep-stack", daemon=True)
    with _turn:
        usual = threading.stack_size(n_bytes // _PAGE * _PAGE)
        try:
            thread.start()
        finally:
            threading.stack_size(usual)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]

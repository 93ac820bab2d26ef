"""Calls on a large stack, for deep recursion in native code, where a stack overflow would kill the process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
_PAGE = 4096  # bytes; the stack must be whole pages
_stack_size_lock = threading.Lock()  # the size of a new thread's stack is one setting for the whole process


def call_on_deep_stack(function: Callable[[], Result], n_bytes: int) -> Result:
    """Call `function` on a thread with a stack of about `n_bytes`; returns its result, or raises its error.

    The system allocates only the used part of the stack.
    """
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  it is raised again, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="seallm-deep-stack", daemon=True)
    with _stack_size_lock:
        usual = threading.stack_size(n_bytes // _PAGE * _PAGE)
        try:
            thread.start()
        finally:
            threading.stack_size(usual)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]

"""Runs in a child process: a model loaded once, its speed measured as often as asked.

Requests come on stdin and answers go to stdout, a line of JSON each: first what to load (see `_load`), answered by
{} once the weights are there; then what to measure (see `Turns.measure`), answered by seconds. What cannot be done is
an answer too, with its `error`, and the end. The end of stdin ends the child, whatever it is at: it never outlives its
parent.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..native import symbols
from ..native.child import be_first_to_be_killed, error_as_data
from ..native.context import Context
from ..native.model import Model

_STEP = 7_919  # a prime: token ids that jump through the whole vocabulary
_CONTEXTS = 2  # kept with their buffers: one for each side of a comparison


def main() -> None:
    """Load, then measure, until stdin ends or something fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; the parent decides
    be_first_to_be_killed()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    try:
        turns = Turns(_load(requests.get()))
        _answer({})
        while True:
            _answer(turns.measure(requests.get()))
    except EngineError as error:
        _answer(error_as_data(error))


class Turns:
    """Measures turns of a chat with one model: a prompt read in batches, then tokens written one by one."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._contexts: OrderedDict[tuple[int, int], Context] = OrderedDict()

    def measure(self, request: Mapping[str, int]) -> dict[str, float]:
        """Seconds to `read` so many tokens, `n_batch` at once, and to `write` so many, on `threads` threads.

        Both begin in an empty context, which has room for `n_ctx` tokens. Raises EngineError if llama.cpp cannot.
        """
        context = self._context(request["n_ctx"], request["n_batch"])
        symbols.llama_cpp().llama_set_n_threads(context.pointer, request["threads"], request["threads"])
        read, write, n_batch = request["read"], request["write"], request["n_batch"]
        tokens = [n * _STEP % context.n_vocab for n in range(max(read, write))]
        context.decode(tokens[:1], 0)  # threads start, pages come in
        context.forget(0)
        started = time.perf_counter()
        for position in range(0, read, n_batch):
            context.decode(tokens[position : min(position + n_batch, read)], position)
        read_seconds = time.perf_counter() - started
        context.forget(0)  # or writing would be slower after more was read
        started = time.perf_counter()
        for position in range(write):
            context.decode(tokens[position : position + 1], position)
        write_seconds = time.perf_counter() - started
        context.forget(0)
        return {"read_seconds": read_seconds, "write_seconds": write_seconds}

    def _context(self, n_ctx: int, n_batch: int) -> Context:
        key = n_ctx, n_batch
        if key not in self._contexts:
            if len(self._contexts) == _CONTEXTS:
                self._contexts.popitem(last=False)[1].close()
            self._contexts[key] = Context(self._model, n_ctx=n_ctx, n_batch=n_batch, n_threads=1)
        self._contexts.move_to_end(key)
        return self._contexts[key]


def _load(request: Mapping[str, Any]) -> Model:
    """The model of this `path`, with `gpu_layers` on the `gpus` and `repack` as told. Raises EngineError."""
    layers = request["gpu_layers"]
    return Model(Path(request["path"]), n_gpu_layers=layers, gpus=request["gpus"], repack=request["repack"])


def _listen(requests: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    os._exit(0)  # the parent has gone: no load and no measuring is worth finishing


def _answer(found: Mapping[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

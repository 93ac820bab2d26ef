"""`ModelPool`: models in memory by name. A model is loaded for the first request that names it, beside the others if it
fits; else the least recently used idle one leaves, else the request waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from ..errors import NotEnoughMemory
from ..llm import SeaLLM
from .model_directory import ListedModel, ModelDirectory
from .problems import RequestRefused

logger = logging.getLogger("seallm_edge")
Load = Callable[[ListedModel, Callable[[float], None]], SeaLLM]
FOREVER = float("inf")
_SWEEP_SECONDS = 1.0
_RETRY_SECONDS = 10


@dataclass
class LoadedModel:
    """Model in memory, with the requests that use it. `used_at` is of `time.monotonic`, `keep_alive` in seconds."""

    name: str
    llm: SeaLLM
    keep_alive: float
    used_at: float = field(default_factory=time.monotonic)
    n_users: int = 0

    @property
    def idle_seconds_left(self) -> float:
        """Seconds until it is unloaded; it stays while it is in use."""
        return FOREVER if self.n_users else self.used_at + self.keep_alive - time.monotonic()


class ModelPool:
    """Models in memory. For one event loop; loading and closing take place in threads.

    `load(model, on_progress)` loads a model of the directory. `keep_alive` is in idle seconds, None keeps models;
    `wait_seconds` is how long a request waits for memory.
    """

    def __init__(self, load: Load, directory: ModelDirectory, *, keep_alive: float | None, wait_seconds: float) -> None:
        self._load = load
        self.directory = directory
        self._keep_alive = FOREVER if keep_alive is None else keep_alive
        self._wait_seconds = wait_seconds
        self._models: dict[str, LoadedModel] = {}
        self._loads: dict[str, asyncio.Task[None]] = {}  # under way, or waiting for their turn
        self._changing = asyncio.Lock()  # one load or unload at a time: each plan counts the free memory
        self._released = asyncio.Event()
        self.load_share: float | None = None  # of the load under way, from 0 to 1

    @contextlib.asynccontextmanager
    async def use(self, name: str | None, keep_alive: float | None = None) -> AsyncIterator[LoadedModel]:
        """The model of a request, held in memory inside the `async with` block.

        `keep_alive` replaces the pool's for this model. Raises ModelNotFound, NotEnoughMemory, RequestRefused where the
        memory stays taken by other requests, and what loading raises.
        """
        model = await self._get(self.directory.find(name))
        model.n_users += 1
        if keep_alive is not None:
            model.keep_alive = keep_alive
        try:
            yield model
        finally:
            model.n_users -= 1
            model.used_at = time.monotonic()
            self._released.set()

    def loaded(self) -> list[LoadedModel]:
        """Models in memory, the last used one first."""
        return sorted(self._models.values(), key=lambda model: -model.used_at)

    def is_used(self, name: str) -> bool:
        """Whether a request uses a model, by its own name."""
        return name in self._models and self._models[name].n_users > 0

    async def unload(self, name: str | None) -> bool:
        """Unload a model once no request uses it: whether it was in memory. Raises ModelNotFound."""
        model = self._models.get(self.directory.find(name).name)
        if model:
            model.keep_alive = 0.0
            await self.sweep()
        return model is not None

    async def sweep(self) -> None:
        """Unload models whose idle time is over."""
        for model in list(self._models.values()):
            if model.idle_seconds_left <= 0:
                async with self._changing:
                    if model.idle_seconds_left <= 0:  # still
                        await self._close(model)

    async def sweep_forever(self) -> None:
        """Unload idle models as their time comes, until the task is cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await self.sweep()

    async def close(self) -> None:
        """Unload all models; running replies end."""
        for model in list(self._models.values()):
            await self._close(model)

    async def _get(self, wanted: ListedModel) -> LoadedModel:
        """A model, which is loaded if need be. The load goes on where its request ends: others may wait for it."""
        while wanted.name not in self._models:
            if wanted.name not in self._loads:
                self._loads[wanted.name] = load = asyncio.create_task(self._load_in_turn(wanted))
                load.add_done_callback(functools.partial(self._forget_load, wanted.name))
            await asyncio.shield(self._loads[wanted.name])
        return self._models[wanted.name]

    def _forget_load(self, name: str, load: asyncio.Task[None]) -> None:
        del self._loads[name]
        if not load.cancelled():
            load.exception()  # told to those who wait for it

    async def _load_in_turn(self, wanted: ListedModel) -> None:
        """Load a model, and make room for it."""
        deadline = time.monotonic() + self._wait_seconds
        async with self._changing:
            while True:
                try:
                    llm = await self._in_thread(wanted)
                except NotEnoughMemory as error:
                    if not await self._made_room(error, deadline):
                        raise
                    continue
                self._models[wanted.name] = LoadedModel(wanted.name, llm, self._keep_alive)
                return

    async def _in_thread(self, wanted: ListedModel) -> SeaLLM:
        loop = asyncio.get_running_loop()
        self.load_share = 0.0

        def on_progress(share: float) -> None:
            loop.call_soon_threadsafe(functools.partial(setattr, self, "load_share", share))

        try:
            return await asyncio.to_thread(self._load, wanted, on_progress)
        finally:
            self.load_share = None

    async def _made_room(self, error: NotEnoughMemory, deadline: float) -> bool:
        """Unload the least recently used idle model, or wait for one to become idle; False where none is in memory."""
        if not self._models:
            return False
        while True:
            idle = [model for model in self._models.values() if not model.n_users]
            if idle:
                await self._close(min(idle, key=lambda model: model.used_at))
                return True
            self._released.clear()
            try:
                async with asyncio.timeout(max(deadline - time.monotonic(), 0)):
                    await self._released.wait()
            except TimeoutError:
                names = ", ".join(self._models)
                raise RequestRefused(
                    503, "model_busy", f"{error.message}, and {names} is in use", "try again later",
                    retry_after=_RETRY_SECONDS,
                ) from error  # fmt: skip

    async def _close(self, model: LoadedModel) -> None:
        self._models.pop(model.name, None)
        logger.info("unloading %s", model.name)
        await asyncio.to_thread(model.llm.close)

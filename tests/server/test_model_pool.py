"""Models in memory: one load for many requests, the idle ones leave, a request waits or is refused."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.errors import NotEnoughMemory
from seallm_edge.server.model_directory import ListedModel
from seallm_edge.server.model_pool import ModelPool
from seallm_edge.server.problems import RequestRefused
from support.served import Shelf


class Memory:
    """Memory for `n` models: loading one more raises NotEnoughMemory."""

    def __init__(self, n: int) -> None:
        self._n = n
        self.loads: list[str] = []
        self.models: dict[str, SeaLLM] = {}
        self._lock = threading.Lock()

    def load(self, model: ListedModel, on_progress: Callable[[float], None]) -> SeaLLM:
        with self._lock:
            used = [name for name, llm in self.models.items() if llm.is_loaded]
            if len(used) >= self._n:
                raise NotEnoughMemory(f"{model.name} needs 2.00 GB of memory but 1.00 GB is free", 2, 1, "")
            self.loads.append(model.name)
            self.models[model.name] = SeaLLM.from_engine(ScriptedEngine([]))
            return self.models[model.name]


def pool_of(memory: Memory, **options: Any) -> ModelPool:
    settings = {"keep_alive": 300.0, "wait_seconds": 0.2} | options
    return ModelPool(memory.load, Shelf("a", "b", "c"), **settings)


def test_requests_at_once_share_one_load() -> None:
    async def use(pool: ModelPool) -> None:
        async with pool.use("a"):
            await asyncio.sleep(0.05)

    async def main(memory: Memory) -> None:
        pool = pool_of(memory)
        await asyncio.gather(*(use(pool) for _ in range(5)))
        await pool.close()

    memory = Memory(3)
    asyncio.run(main(memory))
    assert memory.loads == ["a"]
    assert not memory.models["a"].is_loaded


def test_the_least_recently_used_idle_model_leaves() -> None:
    async def main(memory: Memory) -> list[str]:
        pool = pool_of(memory)
        for name in ("a", "b", "a", "c"):
            async with pool.use(name):
                pass
        return [model.name for model in pool.loaded()]

    assert asyncio.run(main(Memory(2))) == ["c", "a"]


def test_a_model_in_use_stays_and_the_request_waits_for_it() -> None:
    async def main(memory: Memory) -> list[str]:
        pool = pool_of(memory, wait_seconds=20.0)

        async def brief() -> None:
            async with pool.use("a") as model:
                await asyncio.sleep(0.1)
                assert model.llm.is_loaded

        async def later() -> None:
            await asyncio.sleep(0.02)
            async with pool.use("b"):
                pass

        await asyncio.gather(brief(), later())
        return [model.name for model in pool.loaded()]

    assert asyncio.run(main(Memory(1))) == ["b"]


def test_a_request_that_waits_too_long_is_told_to_come_back() -> None:
    async def main(memory: Memory) -> None:
        pool = pool_of(memory, wait_seconds=0.05)
        async with pool.use("a"), pool.use("b"):
            pass

    with pytest.raises(RequestRefused) as caught:
        asyncio.run(main(Memory(1)))
    message = "b needs 2.00 GB of memory but 1.00 GB is free, and a is in use"
    assert (caught.value.message, caught.value.status, caught.value.retry_after) == (message, 503, 10)


def test_a_model_that_does_not_fit_alone_is_refused_with_the_numbers() -> None:
    async def main(memory: Memory) -> None:
        async with pool_of(memory).use("a"):
            pass

    with pytest.raises(NotEnoughMemory, match="GB of memory but 1"):
        asyncio.run(main(Memory(0)))


def test_an_idle_model_leaves_after_its_time_and_not_while_it_is_used() -> None:
    async def main(memory: Memory) -> tuple[int, int, int]:
        pool = pool_of(memory, keep_alive=0.0)
        async with pool.use("a"):
            await pool.sweep()
            used = len(pool.loaded())
        await pool.sweep()
        unused = len(pool.loaded())
        async with pool.use("a", keep_alive=float("inf")):
            pass
        await pool.sweep()
        return used, unused, len(pool.loaded())

    assert asyncio.run(main(Memory(1))) == (1, 0, 1)


def test_a_load_goes_on_when_its_request_ends() -> None:
    loading, go_on = threading.Event(), threading.Event()

    async def main(memory: Memory) -> int:
        def slowly(model: ListedModel, on_progress: Callable[[float], None]) -> SeaLLM:
            loading.set()
            assert go_on.wait(20)
            return memory.load(model, on_progress)

        pool = ModelPool(slowly, Shelf("a"), keep_alive=300.0, wait_seconds=1.0)

        async def use() -> None:
            async with pool.use("a"):
                pass

        first, second = asyncio.create_task(use()), asyncio.create_task(use())
        await asyncio.to_thread(loading.wait, 20)
        first.cancel()
        go_on.set()
        await second
        return len(memory.loads)

    assert asyncio.run(main(Memory(1))) == 1

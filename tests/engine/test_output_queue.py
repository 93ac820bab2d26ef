"""Output queue from the worker to its reader: nothing lost, nobody blocked."""

import asyncio
import threading
import time

import pytest

from seallm_edge.engine.output_queue import FULL, LOW, Finished, OutputQueue, TextDelta


def piece(text: str) -> TextDelta:
    return TextDelta(text, (1,), text.encode())


def test_pieces_come_in_order_and_the_end_again_and_again() -> None:
    output = OutputQueue()
    for text in "abc":
        output.put(piece(text))
    output.put(Finished("stop"))
    assert [output.get() for _ in range(5)] == [*map(piece, "abc"), Finished("stop"), Finished("stop")]


def test_a_reader_waits_for_the_next_piece() -> None:
    output = OutputQueue()
    threading.Timer(0.05, output.put, [piece("late")]).start()
    assert output.get() == piece("late")


def test_cancelling_drops_what_was_not_read_and_tells_the_worker() -> None:
    told = []
    output = OutputQueue(lambda: told.append(output.is_cancelled))
    output.put(piece("a"))
    output.put(piece("b"))
    assert output.get() == piece("a")
    output.cancel()
    output.cancel()
    assert [output.get(), output.get()] == [Finished(), Finished()]
    assert told == [True]


def test_cancelling_wakes_a_reader_that_waits() -> None:
    output = OutputQueue()
    threading.Timer(0.05, output.cancel).start()
    assert output.get() == Finished()


def test_cancelling_after_the_end_changes_nothing() -> None:
    output = OutputQueue()
    output.put(Finished("stop"))
    output.get()
    output.cancel()
    assert output.get() == Finished("stop")
    assert not output.is_cancelled


def test_a_feed_is_full_until_its_reader_has_caught_up() -> None:
    told = []
    output = OutputQueue(lambda: told.append(True))
    for _ in range(FULL - 1):
        output.put(piece("x"))
    assert not output.is_full
    output.put(piece("x"))
    assert output.is_full
    for left in range(FULL - 1, LOW, -1):
        output.get()
        assert output.is_full, left
        assert told == []
    output.get()
    assert not output.is_full
    assert told == [True]


def test_an_event_loop_reads_without_being_blocked() -> None:
    output, ticks = OutputQueue(), []

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.005)

    async def read() -> list[object]:
        ticking = asyncio.create_task(tick())
        found = [await output.aget() for _ in range(3)]
        ticking.cancel()
        return found

    threading.Timer(0.1, lambda: [output.put(piece("a")), output.put(piece("b")), output.put(Finished("stop"))]).start()
    assert asyncio.run(read()) == [piece("a"), piece("b"), Finished("stop")]
    assert len(ticks) >= 5


def test_pieces_put_from_a_thread_while_a_loop_reads_all_arrive() -> None:
    output = OutputQueue()

    def write() -> None:
        for number in range(2000):
            output.put(piece(str(number)))
        output.put(Finished("length"))

    async def read() -> list[str]:
        found = []
        while isinstance(item := await output.aget(), TextDelta):
            found.append(item.text)
        return found

    threading.Thread(target=write).start()
    assert asyncio.run(read()) == [str(number) for number in range(2000)]


def test_a_task_cancelled_while_it_waits_loses_no_piece_for_the_next_reader() -> None:
    output = OutputQueue()

    async def read() -> object:
        waiting = asyncio.create_task(output.aget())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        output.put(piece("kept"))
        return await output.aget()

    assert asyncio.run(read()) == piece("kept")


def test_a_loop_that_was_closed_does_not_disturb_the_worker() -> None:
    output = OutputQueue()
    loop = asyncio.new_event_loop()
    output._waiting = loop, loop.create_future()
    loop.close()
    output.put(piece("a"))
    output._waiting = None
    assert output.get() == piece("a")

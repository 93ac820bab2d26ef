"""The way of a reply from the worker to its reader: nothing lost, nobody blocked."""

import asyncio
import threading
import time

import pytest

from seallm_edge.engine.output_queue import FULL, LOW, End, Feed, Piece


def piece(text: str) -> Piece:
    return Piece(text, 1, len(text), 0.0)


def test_pieces_come_in_order_and_the_end_again_and_again() -> None:
    feed = Feed()
    for text in "abc":
        feed.put(piece(text))
    feed.put(End("stop"))
    assert [feed.get() for _ in range(5)] == [*map(piece, "abc"), End("stop"), End("stop")]


def test_a_reader_waits_for_the_next_piece() -> None:
    feed = Feed()
    threading.Timer(0.05, feed.put, [piece("late")]).start()
    assert feed.get() == piece("late")


def test_cancelling_drops_what_was_not_read_and_tells_the_worker() -> None:
    told = []
    feed = Feed(lambda: told.append(feed.is_cancelled))
    feed.put(piece("a"))
    feed.put(piece("b"))
    assert feed.get() == piece("a")
    feed.cancel()
    feed.cancel()
    assert [feed.get(), feed.get()] == [End(), End()]
    assert told == [True]


def test_cancelling_wakes_a_reader_that_waits() -> None:
    feed = Feed()
    threading.Timer(0.05, feed.cancel).start()
    assert feed.get() == End()


def test_cancelling_after_the_end_changes_nothing() -> None:
    feed = Feed()
    feed.put(End("stop"))
    feed.get()
    feed.cancel()
    assert feed.get() == End("stop")
    assert not feed.is_cancelled


def test_a_feed_is_full_until_its_reader_has_caught_up() -> None:
    told = []
    feed = Feed(lambda: told.append(True))
    for _ in range(FULL - 1):
        feed.put(piece("x"))
    assert not feed.is_full
    feed.put(piece("x"))
    assert feed.is_full
    for left in range(FULL - 1, LOW, -1):
        feed.get()
        assert feed.is_full, left
        assert told == []
    feed.get()
    assert not feed.is_full
    assert told == [True]


def test_an_event_loop_reads_without_being_blocked() -> None:
    feed, ticks = Feed(), []

    async def tick() -> None:
        while True:
            ticks.append(time.perf_counter())
            await asyncio.sleep(0.005)

    async def read() -> list[object]:
        ticking = asyncio.create_task(tick())
        found = [await feed.aget() for _ in range(3)]
        ticking.cancel()
        return found

    threading.Timer(0.1, lambda: [feed.put(piece("a")), feed.put(piece("b")), feed.put(End("stop"))]).start()
    assert asyncio.run(read()) == [piece("a"), piece("b"), End("stop")]
    assert len(ticks) >= 5


def test_pieces_put_from_a_thread_while_a_loop_reads_all_arrive() -> None:
    feed = Feed()

    def write() -> None:
        for number in range(2000):
            feed.put(piece(str(number)))
        feed.put(End("length"))

    async def read() -> list[str]:
        found = []
        while isinstance(item := await feed.aget(), Piece):
            found.append(item.text)
        return found

    threading.Thread(target=write).start()
    assert asyncio.run(read()) == [str(number) for number in range(2000)]


def test_a_task_cancelled_while_it_waits_loses_no_piece_for_the_next_reader() -> None:
    feed = Feed()

    async def read() -> object:
        waiting = asyncio.create_task(feed.aget())
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        feed.put(piece("kept"))
        return await feed.aget()

    assert asyncio.run(read()) == piece("kept")


def test_a_loop_that_was_closed_does_not_disturb_the_worker() -> None:
    feed = Feed()
    loop = asyncio.new_event_loop()
    feed._waiting = loop, loop.create_future()
    loop.close()
    feed.put(piece("a"))
    feed._waiting = None
    assert feed.get() == piece("a")

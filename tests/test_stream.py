"""Summary of a stream: only what was read counts, in tokens, bytes and timings."""

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.engine import Finished, OutputQueue, Progress, TextDelta
from seallm_edge.errors import EngineError
from seallm_edge.reply import TokenLogprob
from seallm_edge.stream import Stream, interleave


class Handle:
    """A request whose output a test writes itself."""

    prompt_share = 0.5

    def __init__(self) -> None:
        self.output = OutputQueue()


def delta(text: str, *tokens: int, seconds: float = 0.0, data: bytes | None = None) -> TextDelta:
    logprobs = tuple(TokenLogprob(token, b"", -1.0) for token in tokens)
    return TextDelta(
        text, tokens, text.encode() if data is None else data, logprobs, Progress(3, 0.25, seconds, 2.0, 1.5)
    )


@pytest.fixture
def handle() -> Handle:
    return Handle()


@pytest.fixture
def told() -> list[tuple[str, list[int]]]:
    return []


@pytest.fixture
def stream(handle: Handle, told: list[tuple[str, list[int]]]) -> Stream:
    return Stream(handle, 7, lambda text, tokens: told.append((text, tokens)))


def test_a_reply_sums_up_the_deltas_and_the_end(
    handle: Handle, stream: Stream, told: list[tuple[str, list[int]]]
) -> None:
    handle.output.put(delta("xin ", 1, 2, seconds=0.5))
    handle.output.put(delta("chào", 3, seconds=0.75))
    handle.output.put(Finished("length", delta("", 4, seconds=1.0)))
    reply = stream.read()
    assert (reply.text, reply.finish_reason) == ("xin chào", "length")
    assert (reply.usage.prompt_tokens, reply.usage.cached_tokens) == (7, 3)
    assert (reply.usage.reply_tokens, reply.usage.reply_characters) == (4, 8)
    timings = reply.timings
    assert (timings.prefill_seconds, timings.ttft_seconds, timings.total_seconds) == (0.25, 0.5, 1.0)
    assert (timings.tokens_per_step, timings.speedup) == (2.0, 1.5)
    assert [each.token for each in reply.logprobs] == [1, 2, 3, 4]
    assert told == [("xin chào", [1, 2, 3, 4])]


def test_what_was_not_read_before_a_cancel_is_not_in_the_reply(
    handle: Handle, stream: Stream, told: list[tuple[str, list[int]]]
) -> None:
    for item in (delta("a", 1, seconds=0.5), delta("b", 2, seconds=0.75), Finished("stop", delta("", 3))):
        handle.output.put(item)
    assert next(stream) == "a"
    stream.cancel()
    assert list(stream) == []
    reply = stream.reply
    assert (reply.text, reply.finish_reason, reply.usage.reply_tokens) == ("a", "cancelled", 1)
    assert reply.timings.total_seconds == 0.5
    assert told == [("a", [1])]


def test_tokens_that_spell_more_than_the_text_are_not_told(
    handle: Handle, stream: Stream, told: list[tuple[str, list[int]]]
) -> None:
    handle.output.put(delta("rice", 1))
    handle.output.put(Finished("stop", delta("", 2, data=b"\nUser:")))  # a stop string was cut off
    assert stream.read().text == "rice"
    assert told == []


def test_an_error_comes_after_the_text_and_the_tokens_before_it(handle: Handle, stream: Stream) -> None:
    handle.output.put(delta("half", 1, seconds=0.5))
    handle.output.put(Finished(last=delta("", 2, seconds=0.75), error=EngineError("it broke")))
    assert next(stream) == "half"
    with pytest.raises(EngineError, match="it broke"):
        next(stream)
    assert (stream.reply.usage.reply_tokens, stream.reply.finish_reason) == (2, "cancelled")


def test_deltas_carry_every_token_once() -> None:
    with SeaLLM.from_engine(ScriptedEngine(["กำลังไป ភាសា မြန်မာ"])) as llm:
        reply = llm.stream("hello", logprobs=0).read()
    assert bytes(each.token for each in reply.logprobs) == reply.text.encode()
    assert reply.usage.reply_tokens == len(reply.text.encode())


def test_interleaved_streams_are_read_in_turn_each_to_its_end(told: list[tuple[str, list[int]]]) -> None:
    handles = [Handle(), Handle(), Handle()]
    for handle, texts in zip(handles, ("abc", "", "xy"), strict=True):
        for text in texts:
            handle.output.put(delta(text))
        handle.output.put(Finished("stop", delta("")))
    streams = [Stream(handle, 7) for handle in handles]
    assert list(interleave(streams)) == [(0, "a"), (2, "x"), (0, "b"), (2, "y"), (0, "c")]
    assert [stream.reply.text for stream in streams] == ["abc", "", "xy"]
    assert [stream.reply.finish_reason for stream in streams] == ["stop"] * 3

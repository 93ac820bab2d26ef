"""The engine on the real llama.cpp: concurrent replies, cancelling, closing, forks, unloading."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge import EngineError, SeaLLM
from seallm_edge.errors import SeaLLMError

pytestmark = pytest.mark.slow

DEMO = "smollm2-135m-instruct"
GREEDY = {"temperature": 0, "repeat_penalty": 1.0, "max_tokens": 24}
QUESTIONS = ["What is the capital of Japan?", "Name a fruit.", "Say hello.", "What is two plus two?", "Name a colour."]


def let_go(stream: object, seconds: float = 5.0) -> bool:
    """Whether the worker lets a cancelled reply go within so many seconds."""
    end = time.perf_counter() + seconds
    while not stream._handle.is_over and time.perf_counter() < end:
        time.sleep(0.001)
    return stream._handle.is_over


def a_long_text(llm: SeaLLM, n_tokens: int) -> str:
    words = " ".join(f"rice{n}" for n in range(n_tokens))
    return llm.detokenize(llm.tokenize(words)[:n_tokens])


def test_replies_asked_for_together_all_come(llm: SeaLLM) -> None:
    streams = [llm.stream(question, **GREEDY) for question in QUESTIONS]
    replies = [stream.read() for stream in streams]
    assert "Tokyo" in replies[0].text
    assert {reply.finish_reason for reply in replies} <= {"stop", "length"}
    assert all(reply.text for reply in replies)


@pytest.fixture(scope="module")
def small() -> Iterator[SeaLLM]:
    """So few cells that attention never splits them among threads, and no guesses whose forgotten cells others take:
    replies are the same to the last bit in company.
    """
    with SeaLLM(DEMO, context=256, drafting="off") as llm:
        yield llm


def test_replies_from_many_threads_are_those_of_one_after_the_other(small: SeaLLM) -> None:
    llm = small
    alone = [llm.chat(question, **GREEDY).text for question in QUESTIONS]
    found: dict[int, str] = {}

    def ask(number: int) -> None:
        found[number] = llm.chat(QUESTIONS[number], **GREEDY).text

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(QUESTIONS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(QUESTIONS))] == alone


def test_several_choices_read_their_prompt_once(llm: SeaLLM) -> None:
    prompt = a_long_text(llm, 300)
    replies = llm.choices(prompt, 4, seed=5, temperature=1.5, max_tokens=8)
    assert len({reply.text for reply in replies}) > 1
    n_prompt = replies[0].usage.prompt_tokens
    assert [reply.usage.cached_tokens for reply in replies[1:]] == [n_prompt - 1] * 3


def test_a_reply_cancelled_in_its_prompt_stops_at_once_and_what_was_read_is_kept() -> None:
    with SeaLLM(DEMO, context=2048, drafting="off") as llm:
        prompt = a_long_text(llm, 1500)
        stream = llm.stream(prompt, **GREEDY)
        while llm.stats().cells_used <= 300:
            time.sleep(0.005)
        stream.cancel()
        assert let_go(stream, 1.0)
        assert stream.reply.finish_reason == "cancelled"
        n_read = llm.stats().cells_used
        assert 300 < n_read < 1500
        again = llm.stream(prompt, **GREEDY)
        again.read()
        assert again.reply.usage.cached_tokens >= n_read - n_read % 64


def test_cancelling_from_another_thread_wakes_the_reader(llm: SeaLLM) -> None:
    stream = llm.stream("Tell me a long story.", max_tokens=None)
    threading.Timer(0.2, stream.cancel).start()
    pieces = list(stream)
    assert stream.reply.finish_reason == "cancelled"
    assert "".join(pieces) == stream.reply.text


def test_cancelling_one_leaves_the_others_as_they_are(small: SeaLLM) -> None:
    llm = small
    undisturbed = [stream.read().text for stream in [llm.stream(question, **GREEDY) for question in QUESTIONS[:3]]]
    streams = [llm.stream(question, **GREEDY) for question in QUESTIONS[:3]]
    disturber = llm.stream(a_long_text(llm, 200), **GREEDY)
    time.sleep(0.1)
    disturber.cancel()
    assert [stream.read().text for stream in streams] == undisturbed


def test_a_dropped_stream_is_cancelled(llm: SeaLLM) -> None:
    stream = llm.stream("Tell me a long story.", max_tokens=None)
    next(stream)
    handle = stream._handle
    del stream
    gc.collect()
    end = time.perf_counter() + 5
    while not handle.is_over and time.perf_counter() < end:
        time.sleep(0.005)
    assert handle.is_over


def test_async_replies_come_side_by_side(small: SeaLLM) -> None:
    llm = small

    async def ask() -> list[str]:
        return [reply.text for reply in await asyncio.gather(*(llm.achat(q, **GREEDY) for q in QUESTIONS))]

    assert asyncio.run(ask()) == [llm.chat(question, **GREEDY).text for question in QUESTIONS]


def test_async_pieces_are_those_of_the_stream(llm: SeaLLM) -> None:
    async def ask() -> tuple[list[str], str]:
        stream = llm.astream(QUESTIONS[0], **GREEDY)
        return [piece async for piece in stream], stream.reply.text

    pieces, text = asyncio.run(ask())
    assert pieces == list(llm.stream(QUESTIONS[0], **GREEDY))
    assert "".join(pieces) == text


def test_cancelling_a_task_stops_its_reply(llm: SeaLLM) -> None:
    async def ask() -> object:
        stream = llm.astream("Tell me a long story.", max_tokens=None)

        async def read() -> None:
            async for _ in stream:
                pass

        task = asyncio.create_task(read())
        while not stream.reply.text:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return stream

    stream = asyncio.run(ask())
    assert let_go(stream._stream)
    assert stream.reply.finish_reason == "cancelled"


def test_leaving_an_async_with_stops_the_reply(llm: SeaLLM) -> None:
    async def ask() -> object:
        async with llm.astream("Tell me a long story.", max_tokens=None) as stream:
            async for _ in stream:
                break
        assert [piece async for piece in stream] == []
        return stream

    assert let_go(asyncio.run(ask())._stream)


def test_errors_of_an_async_reply_come_where_it_is_awaited(llm: SeaLLM) -> None:
    with pytest.raises(SeaLLMError, match="temperature is -1"):
        asyncio.run(llm.achat("hello", temperature=-1))


def test_closing_ends_replies_with_a_clear_error() -> None:
    llm = SeaLLM(DEMO, context=1024)
    streams = [llm.stream("Tell me a long story.", max_tokens=None) for _ in range(3)]
    next(streams[0])
    threading.Timer(0.1, llm.close).start()
    for stream in streams:
        with pytest.raises(EngineError, match="this model is closed"):
            stream.read()
    llm.close()
    for use in (lambda: llm.stream("x"), lambda: llm.tokenize("x"), lambda: llm.count_tokens("x")):
        with pytest.raises(EngineError, match="this model is closed"):
            use()


def test_a_dropped_model_frees_its_memory_and_ends_its_thread() -> None:
    llm = SeaLLM(DEMO, context=512)
    llm.chat("Say hello.", max_tokens=4)
    worker = llm._engine._worker
    gone = weakref.ref(llm)
    del llm
    gc.collect()
    assert gone() is None
    assert not worker._thread.is_alive()
    assert worker._loaded is None


def test_whoever_reads_a_reply_keeps_its_model() -> None:
    text = SeaLLM(DEMO, context=512).stream(QUESTIONS[0], **GREEDY).read().text
    assert "Tokyo" in text


def test_two_models_at_once(llm: SeaLLM) -> None:
    with SeaLLM(DEMO, context=512) as other:
        streams = [model.stream(QUESTIONS[0], **GREEDY) for model in (llm, other, llm, other)]
        assert {stream.read().text for stream in streams} == {"The capital of Japan is Tokyo."}


def test_opening_and_closing_again_and_again_leaves_no_memory_behind() -> None:
    """The least memory of some cycles counts: what an allocator keeps for later varies by 20 MB from cycle to cycle."""
    code = """
    import psutil, sys
    from seallm_edge import SeaLLM
    def cycle():
        with SeaLLM(sys.argv[1], context=512) as llm:
            llm.chat("hello", max_tokens=2)
        memory = psutil.Process().memory_info()
        return memory.rss - memory.shared
    taken = [cycle() for _ in range(100)]
    print(min(taken[75:]) - min(taken[10:35]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), DEMO]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(result.stdout) < 3_000_000  # 50 KB a cycle


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_process_is_told_to_load_its_own(llm: SeaLLM) -> None:
    def child(answers: object) -> None:
        for use in (lambda: llm.chat("x"), lambda: llm.tokenize("x")):
            try:
                use()
            except EngineError as error:
                answers.put(error.message)
        llm.close()  # nothing of the parent's is freed

    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=child, args=(answers,))
    process.start()
    messages = [answers.get(timeout=20) for _ in range(2)]
    process.join(20)
    assert process.exitcode == 0
    assert set(messages) == {"this model was loaded by another process, which then forked"}
    assert llm.chat(QUESTIONS[0], **GREEDY).text == "The capital of Japan is Tokyo."


ENDINGS = {
    "idle": "llm.chat('Say hello.', max_tokens=2)",
    "in a reply": "s = llm.stream('Tell me a long story.', max_tokens=None); next(s)",
    "in a prompt": "s = llm.stream('rice and fish ' * 400); time.sleep(0.1)",
    "in a reference cycle": "llm.me = llm; s = llm.stream('Tell me a long story.'); llm.s = s; next(s)",
    "after an error": "llm.chat('Say hello.', max_tokens=2); raise SystemExit(0)",
    "in a thread": "threading.Thread(target=in_thread, args=(llm,), daemon=True).start()",
    "in a destructor": "d = D(llm)",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_program_that_ends_without_closing_ends_silently_and_soon(ending: str) -> None:
    code = f"""
import threading, time
from seallm_edge import SeaLLM, SeaLLMError
class D:
    def __init__(self, llm): self.llm = llm
    def __del__(self): self.llm.close()
def in_thread(llm):
    try: llm.chat('Tell me a story.', max_tokens=30)
    except SeaLLMError: pass
llm = SeaLLM({DEMO!r}, context=2048)
{ending}
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_weights_leave_memory_after_a_while_without_work_and_come_back_when_needed() -> None:
    with SeaLLM(DEMO, context=1024, keep_alive=0.2) as llm:
        first = llm.chat(QUESTIONS[0], **GREEDY)
        end = time.perf_counter() + 5
        while llm._engine.is_loaded and time.perf_counter() < end:
            time.sleep(0.01)
        assert not llm._engine.is_loaded
        assert llm.chat(QUESTIONS[0], **GREEDY).text == first.text
        assert llm._engine.is_loaded


def test_a_conversation_survives_the_unloading_of_its_model() -> None:
    with SeaLLM(DEMO, context=2048, keep_alive=0.1) as llm:
        prompt = a_long_text(llm, 400)
        first = llm.chat(prompt, **GREEDY)
        while llm._engine.is_loaded:
            time.sleep(0.01)
        chunk = [{"role": "user", "content": prompt}, {"role": "assistant", "content": first.text}]
        second = llm.chat([*chunk, {"role": "user", "content": "Why?"}], **GREEDY)
        assert second.usage.cached_tokens >= first.usage.prompt_tokens


def test_a_model_that_cannot_be_loaded_again_says_so_and_can_when_it_is_back(tmp_path: Path, tiny_file: Path) -> None:
    path = tmp_path / "moved.gguf"
    path.write_bytes(tiny_file.read_bytes())
    with SeaLLM(path, context=512, keep_alive=0.05) as llm:
        llm.chat("hello", max_tokens=2)
        while llm._engine.is_loaded:
            time.sleep(0.01)
        path.rename(tmp_path / "away.gguf")
        with pytest.raises(EngineError, match=r"llama\.cpp cannot load moved\.gguf"):
            llm.chat("hello", max_tokens=2)
        (tmp_path / "away.gguf").rename(path)
        assert llm.chat("hello", max_tokens=2).usage.reply_tokens > 0


def test_a_reader_that_stops_reading_holds_nobody_up(llm: SeaLLM) -> None:
    silent = llm.stream("Tell me a long story.", max_tokens=400, logit_bias={2: -1e5})
    next(silent)
    time.sleep(0.05)
    for _ in range(3):
        assert llm.chat(QUESTIONS[0], **GREEDY).text == "The capital of Japan is Tokyo."
    assert len(silent.read().text) > 100

"""Engine throughput and latency: one reply, eight at once, second turns, restarts, shared prompts, cancelling.

    python benchmarks/engine.py [one together turns shared cancel callback] [--model MODEL] [--rounds 3]

Every figure is a ratio within one run: to bare llama_decode loops in the same context, or to the same work without
the feature. MODEL is a catalogue name or a GGUF; default: the demo model. See soak.py for a long mixed run.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seallm_edge import SeaLLM
from seallm_edge.native.batch import Batch

STORY = "Write a very long story about a fisherman and the sea, number {}. Do not stop early."
GO_ON = {"logit_bias": {}}  # set to the end-of-generation tokens: forbidden, so that all replies have the same length
WORDS = ["rice", "water", "river", "boat", "morning", "market", "mother", "fish", "rain", "road", "mango", "temple"]


def main() -> None:
    """Run the chosen parts, and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    arguments = parser.parse_args()
    for part in arguments.parts:
        print(f"{part}:", flush=True)
        PARTS[part](arguments.model, arguments.rounds, arguments.tokens)


def load(model: str, context: int, **options: Any) -> SeaLLM:
    """Load the model, and collect its end-of-generation tokens."""
    llm = SeaLLM(model, drafting="off", context=context, **options)
    with llm._engine.vocabulary() as vocabulary:
        GO_ON["logit_bias"] = {t: -1e5 for t in range(vocabulary.n_tokens) if vocabulary.ends_generation(t)}
    return llm


def one(model: str, rounds: int, n_tokens: int) -> None:
    """One reply against a bare loop that decodes the same number of tokens and samples none."""
    with load(model, 2048) as llm:
        prompt = llm._read(STORY.format(0))[0]
        ratios = []
        for turn in range(rounds + 1):
            runs = [lambda: stream_seconds(llm, n_tokens), lambda: bare_seconds(llm, [prompt], n_tokens)]
            order = random.Random(turn).sample([0, 1], 2)
            seconds = dict(sorted((i, runs[i]()) for i in order))
            ratios += [seconds[1] / seconds[0]] if turn else []
        show("stream ÷ bare loop of one sequence", ratios)


def together(model: str, rounds: int, n_tokens: int) -> None:
    """Eight replies at once: against a bare loop of eight sequences, and against one after the other."""
    with load(model, 4096) as llm:
        prompts = [llm._read(STORY.format(i))[0] for i in range(8)]
        to_bare, to_serial = [], []
        for turn in range(rounds + 1):
            at_once = together_seconds(llm, n_tokens)
            bare = bare_seconds(llm, prompts, n_tokens)
            serial = sum(stream_seconds(llm, n_tokens, number) for number in range(8))
            if turn:
                to_bare.append(bare / at_once)
                to_serial.append(serial / at_once)
        show("8 replies ÷ bare loop of 8 sequences", to_bare)
        show("8 replies together ÷ one after the other", to_serial)


def turns(model: str, rounds: int, _: int) -> None:
    """The next turn of a conversation of 2,000 tokens, in memory and after a restart, against a cold one."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm, restarted, sizes = [], [], [], []
        for turn in range(rounds):
            with load(model, 4096, snapshots=Path(folder)) as llm:
                said = [{"role": "user", "content": text_of(llm, 1900, seed=turn)}]
                said += [{"role": "assistant", "content": "It is."}, {"role": "user", "content": "Why is that so?"}]
                first = llm.chat(said, max_tokens=8, **GO_ON)
                cold.append(first.timings.ttft_seconds)
                said += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "And then?"}]
                second = llm.chat(said, max_tokens=8, **GO_ON)
                warm.append(second.timings.ttft_seconds)
                sizes.append(second.usage.prompt_tokens)
            with load(model, 4096, snapshots=Path(folder)) as llm:
                said += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And after that?"}]
                restarted.append(llm.chat(said, max_tokens=8, **GO_ON).timings.ttft_seconds)
        print(f"  prompts of {sizes} tokens; cold {statistics.median(cold):.2f} s")
        show("next turn ÷ cold, time to first text", [w / c for w, c in zip(warm, cold, strict=True)])
        show("after a restart ÷ cold", [r / c for r, c in zip(restarted, cold, strict=True)])


def shared(model: str, rounds: int, _: int) -> None:
    """Eight chats with one system prompt of 1,000 tokens: how often it is prefilled."""
    for turn in range(rounds):
        with load(model, 8192) as llm:
            system = {"role": "system", "content": text_of(llm, 1000, seed=turn)}
            chats = [[system, {"role": "user", "content": f"{WORDS[i]}?"}] for i in range(8)]
            started = time.perf_counter()
            streams = [llm.stream(chat, max_tokens=1) for chat in chats]
            usages = [stream.read().usage for stream in streams]
            seconds = time.perf_counter() - started
            read = sum(usage.prompt_tokens - usage.cached_tokens for usage in usages)
            alone = usages[0].prompt_tokens
            print(f"  8 chats of {alone} tokens: {read} tokens read, {read / alone:.2f} prompts, in {seconds:.2f} s")


def cancel(model: str, rounds: int, _: int) -> None:
    """Latency of `cancel()` at random moments, half of them during prefill, beside four other replies; and whether
    those have the same text as undisturbed, with free KV cells and with reused ones.
    """
    with load(model, 8192) as llm:
        plain = Readers(four(llm)).texts()
        taken: list[float] = []
        dice = random.Random(1)
        for has_free_cells, name in ((True, "free cells"), (False, "reused cells")):
            equal = n_others = 0
            while len(taken) < 25 * rounds * (1 if has_free_cells else 2):
                if has_free_cells:
                    empty(llm)
                readers = Readers(four(llm))
                time.sleep(0.2)
                while readers.all_read() and (not has_free_cells or used(llm) < 6000):
                    taken.append(cancel_one(llm, dice, in_prompt=len(taken) % 2 == 0))
                equal += sum(text in plain for text in readers.texts())
                n_others += 4
            print(f"  {name}: {equal} of {n_others} other replies as undisturbed")
        taken.sort()
        print(
            f"  {len(taken)} cancels: median {statistics.median(taken) * 1e3:.0f} ms, "
            f"95% {taken[int(len(taken) * 0.95)] * 1e3:.0f} ms, longest {taken[-1] * 1e3:.0f} ms"
        )


class Readers:
    """Readers of concurrent replies, each on a thread of its own."""

    def __init__(self, streams: list[Any]) -> None:
        self._texts: list[str] = []
        self._threads = [threading.Thread(target=self._read, args=(stream,)) for stream in streams]
        for thread in self._threads:
            thread.start()

    def texts(self) -> list[str]:
        """Texts of all replies, once they are complete."""
        for thread in self._threads:
            thread.join()
        return self._texts

    def all_read(self) -> bool:
        """Whether no reply is complete yet."""
        return all(thread.is_alive() for thread in self._threads)

    def _read(self, stream: Any) -> None:
        self._texts.append(stream.read().text)


def used(llm: SeaLLM) -> int:
    """KV cells in use."""
    return llm.stats().cells_used


def empty(llm: SeaLLM) -> None:
    """Drop all cached KV states while nothing runs."""
    core = llm._engine._worker._loaded._core
    for slot in core.scheduler.slots.all:
        core.scheduler.slots.empty(slot)
    core._context.clear()


def callback(model: str, rounds: int, n_tokens: int) -> None:
    """Cost of the abort callback between any two operations of a step: native, and as a Python function."""
    with load(model, 2048) as llm:
        context = llm._engine._worker._loaded._core._context
        kind = context._llama.ggml_abort_callback
        ways = {
            "none": ctypes.cast(None, kind),
            "native": ctypes.cast(ctypes.CDLL(None).strlen, kind),
            "python": kind(lambda _: False),
        }
        prompt = llm._read(STORY.format(0))[0]
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(2 * rounds + 1):
            for name in random.Random(turn).sample(list(ways), len(ways)):
                flag = ctypes.addressof(context._abort_flag)
                context._llama.llama_set_abort_callback(context.pointer, ways[name], flag)
                taken = bare_seconds(llm, [prompt], n_tokens)
                seconds[name] += [taken] if turn else []
        context._llama.llama_set_abort_callback(context.pointer, ways["native"], flag)
        for name in ("native", "python"):
            ratios = [n / w for n, w in zip(seconds["none"], seconds[name], strict=True)]
            show(f"speed with a {name} callback ÷ without", ratios)


def four(llm: SeaLLM) -> list[Any]:
    """Four long replies, started at the same time."""
    return [llm.stream(STORY.format(i), seed=i, max_tokens=160, **GO_ON) for i in range(4)]


def cancel_one(llm: SeaLLM, dice: random.Random, in_prompt: bool) -> float:
    """Seconds from `cancel()` until the worker has removed the request."""
    prompt = text_of(llm, 4000, seed=dice.randrange(1 << 30)) if in_prompt else STORY.format(dice.random())
    stream = llm.stream(prompt, max_tokens=500, **GO_ON)
    if in_prompt:
        time.sleep(dice.random())
    else:
        for _ in range(dice.randrange(1, 12)):
            next(stream)
    started = time.perf_counter()
    stream.cancel()
    while not stream._handle.is_over:
        time.sleep(0.0005)
    return time.perf_counter() - started


def text_of(llm: SeaLLM, n_tokens: int, seed: int) -> str:
    """Text of about `n_tokens` tokens."""
    dice = random.Random(seed)
    words = dice.choices(WORDS, k=n_tokens)
    return " ".join(words[: int(n_tokens * n_tokens / max(llm.count_tokens(" ".join(words)), 1))])


def stream_seconds(llm: SeaLLM, n_tokens: int, number: int = 0) -> float:
    """Seconds of decoding of one reply, after its prefill."""
    timings = llm.chat(STORY.format(number), max_tokens=n_tokens, **GO_ON).timings
    return timings.total_seconds - timings.prefill_seconds


def together_seconds(llm: SeaLLM, n_tokens: int) -> float:
    """Seconds of eight replies at once, from the last prefill's end to the first reply's end, scaled to all tokens."""
    streams = [llm.stream(STORY.format(number), max_tokens=n_tokens, **GO_ON) for number in range(8)]
    timings = [stream.read().timings for stream in streams]
    return max(each.total_seconds for each in timings) - max(each.prefill_seconds for each in timings)


def bare_seconds(llm: SeaLLM, prompts: list[list[int]], n_tokens: int) -> float:
    """Seconds of a loop of llama_decode, one token a sequence and step, in the engine's own context while idle."""
    context = llm._engine._worker._loaded._core._context
    empty(llm)
    batch = Batch(context.n_batch)
    for number, prompt in enumerate(prompts):
        batch.clear()
        batch.extend(prompt, 0, number, n_logits=1)
        context.run(batch)
    started = time.perf_counter()
    for step in range(n_tokens - 1):
        batch.clear()
        for number, prompt in enumerate(prompts):
            batch.add(prompt[step % len(prompt)], len(prompt) + step, number)
        context.run(batch)
        context.logits(0)
    seconds = time.perf_counter() - started
    for number in range(len(prompts)):
        context.forget(number)
    return seconds


def show(name: str, ratios: list[float]) -> None:
    """Print a line with the median and the range."""
    print(f"  {name}: {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})", flush=True)


PARTS: dict[str, Callable[[str, int, int], None]] = {
    "one": one,
    "together": together,
    "turns": turns,
    "shared": shared,
    "cancel": cancel,
    "callback": callback,
}


if __name__ == "__main__":
    main()

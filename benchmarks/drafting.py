"""Speed-up by drafting: characters per second with it over without, in each language, by forced decoding.

    python benchmarks/drafting.py forced MODEL.gguf --text DATA [--languages my,km] [--tokens 2000] [--json FILE]
    python benchmarks/drafting.py first MODEL.gguf --text DATA [--languages my,km] [--tokens 120]
    python benchmarks/drafting.py free [MODEL]

`forced`: the reply is not the model's but a text that no table was made of: a sampler picks its next token, whatever
the model says. So weights that were never trained will do: steps cost what they cost, and the text decides whether a
draft token is accepted. The real sampler runs beside it. DATA holds ntrex/LANGUAGE.txt, of which lines 1401 to 1600 are
taken, of Javanese 501 to 600: TOKENS of them in samples of 200 from all over the text. Before each third sample 100
tokens are decoded without drafting; each sample is compared with the nearest of these.

`first`: the same for the first reply of a program, without and with saved step costs; both over no drafting.

`free`: free generation by the demo model: chat, copying, JSON.

For a computation without a model see simulated_drafting.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from seallm_edge import SeaLLM
from seallm_edge.drafting import Speculator, StepCosts, TextDrafting
from seallm_edge.engine.contract import NoSpeculation
from seallm_edge.native.sampler import Chosen, Sampler
from seallm_edge.text.unicode import normalize
from seallm_edge.text.zawgyi import looks_like_zawgyi, zawgyi_to_unicode

LANGUAGES = ("my", "km", "lo", "ta", "th", "tl", "id", "ms", "jv", "vi", "zh", "en")
SEGMENTS = 3
SAMPLE = 200  # tokens


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, n_tokens in (("forced", 2_000), ("first", 120)):
        forced = commands.add_parser(name)
        forced.add_argument("model")
        forced.add_argument("--text", type=Path, required=True)
        forced.add_argument("--languages", default=",".join(LANGUAGES))
        forced.add_argument("--tokens", type=int, default=n_tokens)
        if name == "forced":
            forced.add_argument("--json", type=Path)
    free = commands.add_parser("free")
    free.add_argument("model", nargs="?", default="smollm2-135m-instruct")
    arguments = parser.parse_args()
    with SeaLLM(arguments.model, context=2048) as llm:
        if arguments.command == "free":
            run_free(llm)
        elif arguments.command == "first":
            run_first(llm, arguments.text, arguments.languages.split(","), arguments.tokens)
        else:
            rows = run_forced(llm, arguments.text, arguments.languages.split(","), arguments.tokens)
            if arguments.json:
                arguments.json.write_text(json.dumps({"model": llm.header.file_type_name, "languages": rows}, indent=1))


def held_back(folder: Path, language: str) -> str:
    """Held-out lines, which no table was made of, in Unicode."""
    lines = (folder / "ntrex" / f"{language}.txt").read_text(encoding="utf-8").splitlines()
    lines = lines[500:600] if language == "jv" else lines[1400:1600]
    return "\n".join(zawgyi_to_unicode(line) if looks_like_zawgyi(line) else normalize(line) for line in lines)


def run_first(llm: SeaLLM, folder: Path, languages: Sequence[str], n_tokens: int) -> None:
    """Print each language's speed-up in a first reply."""
    drafting = Drafting(llm)
    for language in LANGUAGES:
        drafting.force(llm.detokenize(llm.tokenize(held_back(folder, language))[: n_tokens * 2]))
    remembered = drafting.costs.to_remember()
    print("     characters/s over without: no costs known, saved costs (segments)")
    for language in languages:
        tokens = llm.tokenize(held_back(folder, language))
        step = len(tokens) // SEGMENTS
        texts = [llm.detokenize(tokens[i * step : i * step + n_tokens]) for i in range(SEGMENTS)]
        gains: dict[bool, list[float]] = {False: [], True: []}
        for text in texts:
            drafting.switch(False)
            without, _ = drafting.force(text)
            for knows in gains:
                drafting.begin_anew(StepCosts(remembered if knows else None))
                seconds, _ = drafting.force(text)
                gains[knows].append(without / seconds)
        print(
            f"{language}  " + "  ".join(
                f"{statistics.harmonic_mean(each):.2f} ({' '.join(f'{gain:.2f}' for gain in each)})"
                for each in gains.values()
            ),
            flush=True,
        )  # fmt: skip


def run_forced(llm: SeaLLM, folder: Path, languages: Sequence[str], n_tokens: int) -> dict[str, dict[str, Any]]:
    """Each language's figures, printed as they come."""
    drafting = Drafting(llm)
    drafting.force("Warm up. " * 40)
    rows = {}
    print("     tokens  ratio  (lowest to highest of the samples)  tokens/step  draft tokens accepted")
    for language in languages:
        samples = list(samples_of(llm, held_back(folder, language), n_tokens))
        steps_without: list[float] = []  # seconds a token without drafting, as last measured before each sample
        with_drafts: list[tuple[int, float, float]] = []  # tokens, seconds, tokens a step
        for number, tokens in enumerate(samples):
            if number % 3 == 0:
                drafting.switch(False)
                text = llm.detokenize(tokens[: SAMPLE // 2])
                without = drafting.force(text)[0] / len(llm.tokenize(text))
            drafting.switch(True)
            with_drafts.append((len(tokens), *drafting.force(llm.detokenize(tokens))))
            steps_without.append(without)
        row = rows[language] = summary(with_drafts, steps_without)
        spread = f"({min(row['ratios']):.2f} to {max(row['ratios']):.2f})"
        n_checked, n_accepted = drafting.take_counts()
        print(
            f"{language}  {row['tokens']:6d}   {row['ratio']:5.2f}  {spread}  {row['tokens_per_step']:10.2f}"
            f"  {n_accepted} of {n_checked}",
            flush=True,
        )
    print("cost of a step:", drafting.costs_in_words)
    return rows


def samples_of(llm: SeaLLM, text: str, n_tokens: int) -> Iterator[list[int]]:
    """Samples of about 200 tokens, `n_tokens` in all, evenly spread over `text`."""
    tokens = llm.tokenize(text)
    n_samples = max(min(n_tokens, len(tokens)) // SAMPLE, 1)
    stride = len(tokens) // n_samples
    for start in range(0, n_samples * stride, stride):
        # Decoded and tokenized again: a sample that begins within a character would not come out as it went in.
        yield llm.tokenize(llm.detokenize(tokens[start : start + SAMPLE]).strip("\ufffd"))


def summary(with_drafts: Sequence[tuple[int, float, float]], steps_without: Sequence[float]) -> dict[str, Any]:
    """Tokens in all, speed with drafting over without, of all and of each sample, and tokens a step."""
    baselines = [n * step for (n, _, _), step in zip(with_drafts, steps_without, strict=True)]
    return {
        "tokens": sum(n for n, _, _ in with_drafts),
        "ratio": sum(baselines) / sum(seconds for _, seconds, _ in with_drafts),
        "ratios": [baseline / seconds for baseline, (_, seconds, _) in zip(baselines, with_drafts, strict=True)],
        "tokens_per_step": statistics.harmonic_mean(per_step for _, _, per_step in with_drafts),
    }


class Drafting:
    """Engine whose drafting can be switched on and off, and whose replies can be forced."""

    def __init__(self, llm: SeaLLM) -> None:
        self._llm = llm
        self._core = llm._engine._worker._loaded._core
        self._counts = [0, 0]
        self._watch(self._core._speculation)

    def _watch(self, speculator: Speculator) -> None:
        note = speculator.record_verification

        def counted(draft: Any, n_accepted: int) -> None:
            self._counts[0] += len(draft.draft_tokens)
            self._counts[1] += n_accepted
            note(draft, n_accepted)

        speculator.record_verification = counted
        self._speculator = speculator

    def begin_anew(self, costs: StepCosts) -> None:
        """Restart drafting as in a new process with these saved `costs`."""
        with self._llm._engine.vocabulary() as vocabulary:
            speculator = Speculator(TextDrafting(), costs=costs)
            speculator.attach(vocabulary)
        self._watch(speculator)
        self.switch(True)

    @property
    def costs(self) -> StepCosts:
        """Learned step costs."""
        return self._speculator.costs

    def switch(self, is_on: bool) -> None:
        """Turn drafting on or off."""
        speculation = self._speculator if is_on else NoSpeculation()
        self._core._speculation = self._core._planner._speculation = speculation

    def force(self, text: str) -> tuple[float, float]:
        """(seconds to decode `text` after prefill, tokens per step)."""
        tokens = self._llm.tokenize(text)
        scheduler = self._core.scheduler
        usual, scheduler._make_sampler = scheduler._make_sampler, lambda request: Forced(request, tokens)
        try:
            reply = self._llm.complete(" ", max_tokens=len(tokens))
        finally:
            scheduler._make_sampler = usual
        assert reply.text == text, "another text was written"
        return reply.timings.total_seconds - reply.timings.prefill_seconds, reply.timings.tokens_per_step

    def take_counts(self) -> list[int]:
        """[draft tokens verified, draft tokens accepted] since the last call."""
        counts, self._counts[:] = list(self._counts), [0, 0]
        return counts

    @property
    def costs_in_words(self) -> str:
        """Costs of steps with several batch tokens, relative to a step with one."""
        costs = self._speculator.costs
        return "  ".join(f"{n}: {costs.of(n) / costs.of(1):.2f}" for n in sorted(costs._costs))


class Forced:
    """Sampler that runs the real one, then returns the text's next token."""

    def __init__(self, request: Any, tokens: Sequence[int]) -> None:
        self._sampler = Sampler(request.sampling)
        self._n_prompt = len(request.tokens)
        self._tokens = tokens

    def sample(self, context: Any, index: int, history: Sequence[int]) -> Chosen:
        """Next token of the text."""
        self._sampler.sample(context, index, history)
        return Chosen(self._tokens[len(history) - self._n_prompt])

    def close(self) -> None:
        """Free the real sampler."""
        self._sampler.close()


PROMPTS: dict[str, Callable[[SeaLLM], Any]] = {
    "chat": lambda llm: llm.chat("Tell me about the sea and the people who live from it.", seed=1, max_tokens=200),
    "copying": lambda llm: llm.chat(
        "Repeat this text exactly, word for word:\n\nThe fishermen of the village go out before sunrise, in boats that "
        "their grandfathers built. When the wind is good they come back at noon, and the whole village is at the shore "
        "to pull the boats up, to sort the fish, and to hear what the sea was like that day.",
        temperature=0, max_tokens=120,
    ),
    "JSON": lambda llm: llm.chat(
        "A JSON list of ten fishes with their name, size and price.", temperature=0, max_tokens=200
    ),
}  # fmt: skip


def run_free(llm: SeaLLM, rounds: int = 5) -> None:
    """Print speeds of free generation."""
    drafting = Drafting(llm)
    for name, ask in PROMPTS.items():
        ask(llm)
        speeds: dict[bool, list[float]] = {True: [], False: []}
        texts, gains = set(), []
        for i in range(rounds * 2):
            is_on = bool(i % 2)
            drafting.switch(is_on)
            reply = ask(llm)
            speeds[is_on].append(reply.characters_per_second)
            texts.add(reply.text)
            if is_on:
                gains.append(reply.timings.speedup)
        ratios = [a / b for a, b in zip(speeds[True], speeds[False], strict=True)]
        counts = drafting.take_counts()
        print(
            f"{name:8} {statistics.median(speeds[True]):6.1f} characters/s with, "
            f"{statistics.median(speeds[False]):6.1f} without: "
            f"{statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f}); told as "
            f"{statistics.median(gains):.2f}; {counts[1]} of {counts[0]} accepted; {len(texts)} texts"
        )
    print(f"8 chats together: {together(llm, drafting, rounds)} of the speed without")
    print("cost of a step:", drafting.costs_in_words)


def together(llm: SeaLLM, drafting: Drafting, rounds: int) -> str:
    """Print the speed-up by drafting in a batch of several replies."""
    topics = ["rice", "rivers", "the moon", "fish", "mangoes", "boats", "rain", "music"]

    def seconds() -> float:
        started = time.perf_counter()
        streams = [llm.stream(f"Tell me about {topic}.", seed=1, max_tokens=64) for topic in topics]
        n_tokens = sum(stream.read().usage.reply_tokens for stream in streams)
        return (time.perf_counter() - started) / n_tokens

    ratios = []
    for _ in range(rounds + 1):
        drafting.switch(False)
        without = seconds()
        drafting.switch(True)
        ratios.append(without / seconds())
    return f"{statistics.median(ratios[1:]):.2f} (from {min(ratios[1:]):.2f} to {max(ratios[1:]):.2f})"


if __name__ == "__main__":
    main()

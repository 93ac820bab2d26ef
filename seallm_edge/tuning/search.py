"""`SettingsSearch`: which llama.cpp settings run one chat turn fastest, by rounds between the defaults and candidates.

One setting is changed at a time, and the best so far is kept. Machines are noisy and shared, so only measurements taken
side by side, alternating, are compared, and settings replace the defaults only after a confirmation in fresh processes
by a clear margin. Knows no llama.cpp: a `Bench` measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple, Protocol

from ..errors import EngineError
from ..machine.contention import BUSY_SHARE

# Benchmark workload: one chat turn of 256 prompt and 128 generated tokens.
PROMPT_TOKENS, REPLY_TOKENS = 256, 128
MARGIN = 0.03  # share of the defaults' time that a candidate must save

_STAGE_ROUNDS = 4
_HOPELESS = (1.1, 1.0, 1 - MARGIN)  # after one round, two, three
_MAX_CONFIRMATION_ROUNDS = 18
_LATE_CONFIRMATION_ROUNDS = 9  # the most once time is over and one pair contradicts a clear gain
_ROUNDS_A_PROCESS = 3  # of the confirmation: a process can be slow for as long as it lives
_SEARCH_SHARE = 0.6  # of the time; the rest is for the confirmation
_SLICES = 90  # tries that the time must suffice for
_MIN_PREFILL_TOKENS, _MIN_DECODE_TOKENS, _MAX_DECODE_TOKENS = 32, 4, 64


class Workload(NamedTuple):
    """Size of one try, in tokens: `read` of the prompt, `write` of the reply."""

    read: int
    write: int


class Sample(NamedTuple):
    """Throughput of one try in tokens/s: `read` for prefill, `write` for decode."""

    read: float
    write: float

    @property
    def turn_seconds(self) -> float:
        """Seconds of the whole workload at this throughput."""
        return PROMPT_TOKENS / self.read + REPLY_TOKENS / self.write


@dataclass(frozen=True)
class Settings:
    """Settings under search, by the names of `Tuned`."""

    variant: str
    repack: bool
    threads: int
    n_batch: int
    gpu_layers: int = 0


class Bench(Protocol):
    """Bench that measures settings."""

    def measure(self, settings: Settings, workload: Workload) -> Sample:
        """Throughput of one try. Raises EngineError where llama.cpp refuses, crashes or hangs with these settings."""

    def restart_workers(self) -> None:
        """Measure in new processes from now on: memory placement is worth some percent."""

    def background_load(self) -> float:
        """Share of all processors' time, from 0 to 1, that other programs have taken since the bench was made."""


@dataclass
class Result:
    """Measurements of one candidate: `samples`, and `ratio`, the workload's time over that of the defaults.

    `failure` says why it was dropped; "" where nothing failed.
    """

    samples: list[Sample] = field(default_factory=list)
    ratio: float = 1.0
    failure: str = ""

    @property
    def typical(self) -> Sample | None:
        """Median throughput; None where nothing was measured."""
        if not self.samples:
            return None
        return Sample(median(s.read for s in self.samples), median(s.write for s in self.samples))


class SettingsSearch:
    """Search for `best`, which stays `default` where nothing is clearly better, and its `gain`: how many times as fast.

    `values` are the candidates of each setting by name, in order. `seconds` is the approximate duration; a large model
    takes what its confirmation needs. `results` are those of all settings tried, in order. `is_busy`: other programs
    were running, so the number of threads was left alone. `untried` names the settings that time did not suffice for.
    `unproven` is the candidate that lost its confirmation.
    """

    def __init__(
        self,
        bench: Bench,
        default: Settings,
        values: Mapping[str, Sequence[Any]],
        seconds: float,
        *,
        on_round: Callable[[Sequence[Settings]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.default = self.best = default
        self.gain = 1.0
        self.is_busy = False
        self.untried: list[str] = []
        self.unproven: Settings | None = None
        self.results: dict[Settings, Result] = {default: Result()}
        self._bench = bench
        self.values = values
        self._clock = clock
        self._on_round = on_round
        self._seconds = seconds
        self._started = clock()
        self._speed = Sample(1.0, 1.0)  # so slow that the first tries are the shortest

    def run(self) -> None:
        """Run the search. Raises EngineError where even the defaults cannot be measured."""
        self._calibrate()
        found = self.default
        search_ends = self._started + self._seconds * _SEARCH_SHARE
        for n, (name, values) in enumerate(self.values.items()):
            if name == "threads" and self._bench.background_load() > BUSY_SHARE:
                self.is_busy = True
                continue
            candidates = [replace(found, **{name: value}) for value in values if value != getattr(found, name)]
            share = (search_ends - self._clock()) / (len(self.values) - n)
            found = self._stage(found, candidates, self._clock() + share)
            if candidates and not self.results.keys() & set(candidates):
                self.untried.append(name)
        if found != self.default:
            self._confirmation(found, self._started + self._seconds)
            self.unproven = None if self.best == found else found

    def _calibrate(self) -> None:
        """Measure the defaults, for the size of later workloads."""
        for _ in range(2):  # the first try loads, and the second is too short to count
            self._speed = self._round([self.default])[self.default]
        del self.results[self.default].samples[0]

    def _stage(self, best: Settings, candidates: Sequence[Settings], deadline: float) -> Settings:
        """The best of these settings, as far as the time until `deadline` tells; `best` if none is better."""
        ratios: dict[Settings, list[float]] = {candidate: [] for candidate in candidates}
        for n in range(1, _STAGE_ROUNDS + 1):
            waiting = [r for r in candidates if not (_is_hopeless(ratios[r]) or self._has_failed(r))]
            may_skip = n > 1 or len(self.results) > 1
            if not waiting or (may_skip and self._is_too_late([best, *waiting], deadline)):
                break
            samples = self._round(_in_turns([best, *waiting], n))
            if best not in samples:
                return self.default
            for candidate in waiting:
                if candidate in samples:
                    ratios[candidate].append(samples[candidate].turn_seconds / samples[best].turn_seconds)
        return self._winner(best, {candidate: found for candidate, found in ratios.items() if found})

    def _is_too_late(self, order: Sequence[Settings], deadline: float) -> bool:
        """Whether the stage's time is over, or this round would take more than is left of it all."""
        parts = [self._workload(settings, order) for settings in order]
        seconds = sum(part.read / self._speed.read + part.write / self._speed.write for part in parts)
        now = self._clock()
        return now >= deadline or now + seconds > self._started + self._seconds

    def _workload(self, settings: Settings, order: Sequence[Settings]) -> Workload:
        """Workload of one of many tries within the time: half of it prefill, and where kernels are compared at least
        one whole batch, since a kernel that loses on a quarter batch may win on a full one.
        """
        seconds = self._seconds / _SLICES / 2
        n_read = max(_MIN_PREFILL_TOKENS, min(PROMPT_TOKENS, round(self._speed.read * seconds)))
        reads = dict.fromkeys(order, 1 << n_read.bit_length() - 1)
        if len({replace(other, threads=1) for other in order}) > 1:
            reads = {other: min(other.n_batch, PROMPT_TOKENS) for other in order}
            seconds = max(seconds, max(reads.values()) / self._speed.read / 2)
        n_written = max(_MIN_DECODE_TOKENS, min(_MAX_DECODE_TOKENS, round(self._speed.write * seconds)))
        return Workload(reads[settings], n_written)

    def _has_failed(self, settings: Settings) -> bool:
        return settings in self.results and self.results[settings].failure != ""

    def _winner(self, best: Settings, ratios: Mapping[Settings, Sequence[float]]) -> Settings:
        for candidate, found in ratios.items():
            self.results[candidate].ratio = median(found) * self.results[best].ratio
        leading = [
            candidate for candidate, found in ratios.items() if _leads(found) and not self._has_failed(candidate)
        ]
        return min(leading, key=lambda candidate: median(ratios[candidate]), default=best)

    def _confirmation(self, found: Settings, deadline: float) -> None:
        """Confirm the best candidate against the defaults, in fresh processes, several times."""
        ratios: list[float] = []
        while not _is_decided(ratios, self._clock() >= deadline):
            if len(ratios) % _ROUNDS_A_PROCESS == 0:
                self._bench.restart_workers()
            samples = self._round(_in_turns([self.default, found], len(ratios)))
            if found not in samples:
                return
            ratios.append(samples[found].turn_seconds / samples[self.default].turn_seconds)
        self.results[found].ratio = median(ratios)
        if wins(ratios):
            self.best, self.gain = found, 1 / median(ratios)

    def _round(self, order: Iterable[Settings]) -> dict[Settings, Sample]:
        """One sample of each, alternating; those that fail are left out. Raises EngineError for the defaults."""
        order = list(order)
        self._on_round(order)
        samples = {}
        for settings in order:
            result = self.results.setdefault(settings, Result())
            try:
                samples[settings] = self._bench.measure(settings, self._workload(settings, order))
                result.samples.append(samples[settings])
            except EngineError as error:
                if settings == self.default:
                    raise
                result.failure = error.message
        return samples


def wins(ratios: Sequence[float]) -> bool:
    """Whether times over the defaults' times, measured in pairs, show what is clearly faster: by the margin in the
    median, and in six pairs of six, eight of nine, ten of twelve. Of equals, two in a hundred would pass the second.
    """
    return _losses(ratios) <= len(ratios) // 3 - 2 and median(ratios) <= 1 - MARGIN


def _is_decided(ratios: Sequence[float], is_late: bool) -> bool:
    """Whether a confirmation with these needs no more rounds, or shall have none."""
    n = len(ratios)
    if n == _MAX_CONFIRMATION_ROUNDS or (n >= 3 and median(ratios) >= 1):
        return True
    return is_late and n >= 6 and (wins(ratios) or _losses(ratios) > 1 or n >= _LATE_CONFIRMATION_ROUNDS)


def _losses(ratios: Sequence[float]) -> int:
    return sum(1 for ratio in ratios if ratio >= 1)


def _leads(ratios: Sequence[float]) -> bool:
    """Whether a candidate with these is worth going on with: the fewer there are, the more they must show."""
    n = len(ratios)
    return median(ratios) <= 1 - MARGIN * max(1.0, 3 / n) and _losses(ratios) <= n // 4


def _is_hopeless(ratios: Sequence[float]) -> bool:
    """Whether more rounds would be wasted on what has these: the more there are, the less can still be chance."""
    return bool(ratios) and median(ratios) > _HOPELESS[min(len(ratios), len(_HOPELESS)) - 1]


def _in_turns(candidates: Sequence[Settings], n_round: int) -> Iterable[Settings]:
    """Reverse the order every round (ABBA), so that drift cancels and the last-loaded candidate is measured first."""
    return candidates if n_round % 2 == 0 else reversed(candidates)

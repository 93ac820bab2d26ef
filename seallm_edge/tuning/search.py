"""Which settings of llama.cpp make a chat's turn shortest: rounds between the defaults and their rivals.

One setting is changed at a time, and the best so far goes on. Computers are noisy and are used by others, so nothing
is compared but what was measured side by side, in turns, and nothing is taken for better than the defaults unless it
has beaten them a second time, in processes of its own, by a clear margin and nearly always. Knows no llama.cpp: a
`Bench` measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, NamedTuple, Protocol

from ..errors import EngineError

# A turn of a chat: what is weighed. Half of these tokens are seldom more than a question and its answer in English.
PROMPT_TOKENS, REPLY_TOKENS = 256, 128
MARGIN = 0.03  # what a rival must gain of the defaults' time to be worth keeping
# Work of other programs changes what the best number of threads is, and will be over some day.
BUSY_SHARE = 0.15

_STAGE_ROUNDS = 4
_HOPELESS = (1.1, 1.0, 1 - MARGIN)  # after one round, two, three
_MOST_FINAL_ROUNDS = 18
_LATE_FINAL_ROUNDS = 9  # as many when the time is over, where a single pair stands against a clear gain
_ROUNDS_A_PROCESS = 3  # in the final: a process can be slow for as long as it lives
_SEARCH_SHARE = 0.6  # of the time; the rest is the final's
_SLICES = 90  # that the time shall suffice for
_FEWEST_READ, _FEWEST_WRITTEN, _MOST_WRITTEN = 32, 4, 64


class Portion(NamedTuple):
    """How many tokens of a turn are tried: of the prompt, `read`; of the reply, `write`."""

    read: int
    write: int


class Sample(NamedTuple):
    """What one try has shown: tokens of a prompt read a second, and of a reply written a second."""

    read: float
    write: float

    @property
    def turn_seconds(self) -> float:
        """Seconds of a whole turn at these speeds."""
        return PROMPT_TOKENS / self.read + REPLY_TOKENS / self.write


@dataclass(frozen=True)
class Settings:
    """What can be chosen, by the names of `Tuned`."""

    variant: str
    repack: bool
    threads: int
    n_batch: int


class Bench(Protocol):
    """Where settings are tried."""

    def measure(self, settings: Settings, portion: Portion) -> Sample:
        """The speeds of one try. Raises EngineError where llama.cpp refuses, crashes or hangs with these settings."""

    def renew(self) -> None:
        """Let what is measured from now on run in new processes: where memory came to lie is worth some percent."""

    def others_share(self) -> float:
        """The part of all processors' time, from 0 to 1, that other programs have taken since the bench is there."""


@dataclass
class Result:
    """What was measured of some settings: `samples`, and `ratio`, the time of a turn over that of the defaults.

    `failure` says why there is no more of it; "" where nothing failed.
    """

    samples: list[Sample] = field(default_factory=list)
    ratio: float = 1.0
    failure: str = ""

    @property
    def typical(self) -> Sample | None:
        """The median speeds; None where nothing was measured."""
        if not self.samples:
            return None
        return Sample(median(s.read for s in self.samples), median(s.write for s in self.samples))


class Contest:
    """Finds `best`, which stays `default` where nothing is clearly better, and its `gain`: how many times as fast.

    `values` are what each setting may be, by name, in the order in which they are tried. `seconds` is about what the
    contest takes; a large model takes what its final needs. `results` are those of all settings tried, in order.
    `is_busy` says that other programs were at work, and the number of threads was left alone for that; `untried` names
    the settings that the time did not suffice for. `unproven` is what came to the final and lost it.
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
        self._values = values
        self._clock = clock
        self._on_round = on_round
        self._seconds = seconds
        self._started = clock()
        self._speed = Sample(1.0, 1.0)  # so slow that the first tries are the shortest

    def run(self) -> None:
        """Hold the contest. Raises EngineError where even the defaults cannot be measured."""
        self._calibrate()
        found = self.default
        search_ends = self._started + self._seconds * _SEARCH_SHARE
        for n, (name, values) in enumerate(self._values.items()):
            if name == "threads" and self._bench.others_share() > BUSY_SHARE:
                self.is_busy = True
                continue
            rivals = [replace(found, **{name: value}) for value in values if value != getattr(found, name)]
            share = (search_ends - self._clock()) / (len(self._values) - n)
            found = self._stage(found, rivals, self._clock() + share)
            if rivals and not self.results.keys() & set(rivals):
                self.untried.append(name)
        if found != self.default:
            self._final(found, self._started + self._seconds)
            self.unproven = None if self.best == found else found

    def _calibrate(self) -> None:
        """See how fast the defaults are, for portions that the time suffices for."""
        for _ in range(2):  # the first try loads, and the second is too short to count
            self._speed = self._round([self.default])[self.default]
        del self.results[self.default].samples[0]

    def _stage(self, best: Settings, rivals: Sequence[Settings], deadline: float) -> Settings:
        """The best of these settings, as far as the time until `deadline` lets it be seen; `best` if none is better."""
        ratios: dict[Settings, list[float]] = {rival: [] for rival in rivals}
        for n in range(1, _STAGE_ROUNDS + 1):
            waiting = [r for r in rivals if not (_is_hopeless(ratios[r]) or self._has_failed(r))]
            may_skip = n > 1 or len(self.results) > 1
            if not waiting or (may_skip and self._is_too_late([best, *waiting], deadline)):
                break
            samples = self._round(_in_turns([best, *waiting], n))
            if best not in samples:
                return self.default
            for rival in waiting:
                if rival in samples:
                    ratios[rival].append(samples[rival].turn_seconds / samples[best].turn_seconds)
        return self._winner(best, {rival: found for rival, found in ratios.items() if found})

    def _is_too_late(self, order: Sequence[Settings], deadline: float) -> bool:
        """Whether the stage's time is over, or this round would take more than is left of it all."""
        parts = [self._portion(settings, order) for settings in order]
        seconds = sum(part.read / self._speed.read + part.write / self._speed.write for part in parts)
        now = self._clock()
        return now >= deadline or now + seconds > self._started + self._seconds

    def _portion(self, settings: Settings, order: Sequence[Settings]) -> Portion:
        """What of a turn is tried: as much as the time allows for one of many tries, and half of that for reading.

        Where kernels are compared, at least a whole batch: those that lose on a quarter of it may win on all.
        """
        seconds = self._seconds / _SLICES / 2
        n_read = max(_FEWEST_READ, min(PROMPT_TOKENS, round(self._speed.read * seconds)))
        reads = dict.fromkeys(order, 1 << n_read.bit_length() - 1)
        if len({replace(other, threads=1) for other in order}) > 1:
            reads = {other: min(other.n_batch, PROMPT_TOKENS) for other in order}
            seconds = max(seconds, max(reads.values()) / self._speed.read / 2)
        n_written = max(_FEWEST_WRITTEN, min(_MOST_WRITTEN, round(self._speed.write * seconds)))
        return Portion(reads[settings], n_written)

    def _has_failed(self, settings: Settings) -> bool:
        return settings in self.results and self.results[settings].failure != ""

    def _winner(self, best: Settings, ratios: Mapping[Settings, Sequence[float]]) -> Settings:
        for rival, found in ratios.items():
            self.results[rival].ratio = median(found) * self.results[best].ratio
        leading = [rival for rival, found in ratios.items() if _leads(found) and not self._has_failed(rival)]
        return min(leading, key=lambda rival: median(ratios[rival]), default=best)

    def _final(self, found: Settings, deadline: float) -> None:
        """Put the best that was found against the defaults, both in new processes, and these more than once."""
        ratios: list[float] = []
        while not _is_decided(ratios, self._clock() >= deadline):
            if len(ratios) % _ROUNDS_A_PROCESS == 0:
                self._bench.renew()
            samples = self._round(_in_turns([self.default, found], len(ratios)))
            if found not in samples:
                return
            ratios.append(samples[found].turn_seconds / samples[self.default].turn_seconds)
        self.results[found].ratio = median(ratios)
        if wins(ratios):
            self.best, self.gain = found, 1 / median(ratios)

    def _round(self, order: Iterable[Settings]) -> dict[Settings, Sample]:
        """A sample of each, one after the other; those that fail are left out. Raises EngineError for the defaults."""
        order = list(order)
        self._on_round(order)
        samples = {}
        for settings in order:
            result = self.results.setdefault(settings, Result())
            try:
                samples[settings] = self._bench.measure(settings, self._portion(settings, order))
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
    """Whether a final with these needs no more rounds, or shall have none."""
    n = len(ratios)
    if n == _MOST_FINAL_ROUNDS or (n >= 3 and median(ratios) >= 1):
        return True
    return is_late and n >= 6 and (wins(ratios) or _losses(ratios) > 1 or n >= _LATE_FINAL_ROUNDS)


def _losses(ratios: Sequence[float]) -> int:
    return sum(1 for ratio in ratios if ratio >= 1)


def _leads(ratios: Sequence[float]) -> bool:
    """Whether a rival with these is worth going on with: the fewer there are, the more they must show."""
    n = len(ratios)
    return median(ratios) <= 1 - MARGIN * max(1.0, 3 / n) and _losses(ratios) <= n // 4


def _is_hopeless(ratios: Sequence[float]) -> bool:
    """Whether more rounds would be wasted on what has these: the more there are, the less can still be chance."""
    return bool(ratios) and median(ratios) > _HOPELESS[min(len(ratios), len(_HOPELESS)) - 1]


def _in_turns(contestants: Sequence[Settings], n_round: int) -> Iterable[Settings]:
    """There, and back again in the next round: what grows slower or faster meanwhile harms nobody, and who was last is
    first, which saves loading where only one has room.
    """
    return contestants if n_round % 2 == 0 else reversed(contestants)

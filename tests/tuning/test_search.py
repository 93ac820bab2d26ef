"""The search for the fastest settings, on a simulated computer with seeded noise."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from seallm_edge.errors import EngineError
from seallm_edge.tuning.search import MARGIN, Sample, Settings, SettingsSearch, Workload, wins

DEFAULT = Settings("zen4", True, 4, 128)
VALUES = {
    "threads": (1, 2, 3, 4, 5, 8),
    "repack": (True, False),
    "variant": ("zen4", "icelake", "haswell"),
    "n_batch": (64, 128, 256),
}
Cost = Callable[[Settings], float]


class Computer:
    """A bench on which a turn truly takes `cost` times one second (or two, ten …) and nearly never just that.

    `noise` is the spread of single tries, `bias` that of processes as long as they live, and `waves` what others take,
    slowly coming and going. `failing` settings are refused.
    """

    def __init__(
        self,
        cost: Cost,
        *,
        turn: float = 2.0,
        noise: float = 0.0,
        bias: float = 0.0,
        waves: float = 0.0,
        others: float = 0.0,
        failing: Callable[[Settings], bool] = lambda _: False,
        seed: int = 0,
    ) -> None:
        self.now = 0.0
        self.measured: list[tuple[Settings, Workload]] = []
        self.n_tries = Counter[Settings]()
        self.n_renewed = 0
        self._cost, self._turn, self._others, self._failing = cost, turn, others, failing
        self._noise, self._bias, self._waves = noise, bias, waves
        self._random = random.Random(seed)
        self._processes: dict[tuple[str, bool], float] = {}

    def measure(self, settings: Settings, workload: Workload) -> Sample:
        self.n_tries[settings] += 1
        if self._failing(settings):
            raise EngineError("llama.cpp has crashed")
        kind = settings.variant, settings.repack
        if kind not in self._processes:
            self.now += 0.5
            self._processes[kind] = self._chance(self._bias)
        wave = 1 + self._waves * (1 + math.sin(self.now / 5)) / 2
        slowness = self._cost(settings) * self._processes[kind] * self._chance(self._noise) * wave
        sample = Sample(256 / (self._turn * slowness / 2), 128 / (self._turn * slowness / 2))
        self.now += workload.read / sample.read + workload.write / sample.write
        self.measured.append((settings, workload))
        return sample

    def restart_workers(self) -> None:
        self._processes.clear()
        self.n_renewed += 1

    def background_load(self) -> float:
        return self._others

    def _chance(self, spread: float) -> float:
        """Near 1; now and then, where there is chance at all, much more: somebody had the processor."""
        hiccup = self._random.uniform(1.5, 4) if spread > 0.05 and self._random.random() < 0.05 else 1.0
        return self._random.lognormvariate(0, spread) * hiccup


def held(computer: Computer, default: Settings = DEFAULT, seconds: float = 30.0) -> SettingsSearch:
    search = SettingsSearch(computer, default, VALUES, seconds, clock=lambda: computer.now)
    search.run()
    return search


def _changed(settings: Settings) -> list[str]:
    """What of `settings` is not the default's, such as `threads_3`."""
    names = (name for name in VALUES if getattr(settings, name) != getattr(DEFAULT, name))
    return [f"{name}_{getattr(settings, name)}" for name in names]


def costs(**factors: float) -> Cost:
    """The truth: a factor for each value that settings may have, by names such as `threads_3`; 1 for all others."""

    def cost(settings: Settings) -> float:
        return math.prod(factors.get(f"{name}_{getattr(settings, name)}", 1.0) for name in VALUES)

    return cost


def random_costs(seed: int, lowest: float, highest: float) -> Cost:
    """Truths of which each value but the default's takes a factor of its own."""

    def cost(settings: Settings) -> float:
        changed = {name: value for name in VALUES if (value := getattr(settings, name)) != getattr(DEFAULT, name)}
        return math.prod(
            random.Random(f"{seed}{name}{value}").uniform(lowest, highest) for name, value in changed.items()
        )

    return cost


NOISE = {"noise": 0.05, "bias": 0.02, "waves": 0.5}
NOISES = [{"noise": 0.0}, NOISE, {"noise": 0.1, "bias": 0.03, "waves": 0.5}, {"noise": 0.3, "bias": 0.1, "waves": 1.0}]


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: f"{noise['noise']:.0%}")
@pytest.mark.parametrize("turn", [1.4, 8.0, 40.0])
def test_what_is_truly_slower_than_the_defaults_is_not_kept(noise: dict[str, float], turn: float) -> None:
    slower = 0
    for seed in range(100):
        cost = random_costs(seed, 1.0, 1.3)
        slower += cost(held(Computer(cost, turn=turn, seed=seed, **noise)).best) > 1 + MARGIN
    assert slower <= (3 if noise["noise"] > 0.1 else 0)  # a spread of 30% deceives anybody now and then


@pytest.mark.parametrize(
    ("noise", "least"), [(NOISES[0], 20), (NOISES[1], 14), (NOISES[2], 5)], ids=["0%", "5%", "10%"]
)
@pytest.mark.parametrize(
    "best",
    [
        {"threads_3": 0.8},
        {"repack_False": 0.8},
        {"variant_haswell": 0.8},
        {"n_batch_64": 0.8},
        {"threads_8": 0.7, "repack_False": 0.7},
    ],
    ids=" ".join,
)
def test_what_is_clearly_faster_is_kept_with_its_gain(
    best: dict[str, float], noise: dict[str, float], least: int
) -> None:
    cost, n_found = costs(**best), 0
    tolerance = max(1e-6, 4 * noise["noise"])
    for seed in range(20):
        search = held(Computer(cost, seed=seed, **noise))
        if best.keys() <= set(_changed(search.best)):
            n_found += 1
            assert search.gain == pytest.approx(1 / math.prod(best.values()), rel=tolerance)
    assert n_found >= least


def test_of_several_faster_ones_the_fastest_is_kept() -> None:
    search = held(Computer(costs(variant_haswell=0.8, variant_icelake=0.9)))
    assert search.best == replace(DEFAULT, variant="haswell")
    assert search.results[replace(DEFAULT, variant="icelake")].ratio == pytest.approx(0.9)


def test_a_gain_below_the_margin_is_left_alone() -> None:
    search = held(Computer(costs(threads_3=0.98)))
    assert (search.best, search.gain) == (DEFAULT, 1.0)


def test_equals_leave_the_defaults_and_hold_no_final() -> None:
    computer = Computer(costs())
    assert held(computer).best == DEFAULT
    assert computer.n_renewed == 0


def test_without_rivals_the_defaults_are_measured_once_more_than_to_load_them() -> None:
    computer = Computer(costs())
    search = SettingsSearch(computer, DEFAULT, {"repack": (True,)}, 30.0, clock=lambda: computer.now)
    search.run()
    assert (search.best, search.untried, len(search.results[DEFAULT].samples)) == (DEFAULT, [], 1)
    assert computer.n_tries[DEFAULT] == 2


def test_a_process_that_is_slow_as_long_as_it_lives_makes_no_other_setting_faster() -> None:
    computer = Computer(costs())
    computer._processes["zen4", True] = 2.0  # of the first process with the defaults
    search = held(computer)
    assert search.best == DEFAULT
    assert computer.n_renewed == 1
    assert search.results[replace(DEFAULT, repack=False)].ratio == pytest.approx(1.0)


def test_settings_that_crash_lose_and_say_why() -> None:
    computer = Computer(costs(variant_icelake=0.5, threads_3=0.8), failing=lambda s: s.variant == "icelake")
    search = held(computer)
    assert search.best == replace(DEFAULT, threads=3)
    crashed = replace(DEFAULT, threads=3, variant="icelake")
    assert search.results[crashed].failure == "llama.cpp has crashed"
    assert search.results[crashed].typical is None
    assert computer.n_tries[crashed] == 1


def test_a_winner_that_crashes_in_the_final_is_not_kept() -> None:
    computer = Computer(costs(threads_3=0.5))
    computer._failing = lambda s: computer.n_renewed > 0 and s.threads == 3
    assert held(computer).best == DEFAULT


def test_a_leader_that_crashes_later_is_not_kept() -> None:
    leader, candidate = replace(DEFAULT, threads=3), replace(DEFAULT, threads=3, repack=False)
    computer = Computer(costs(threads_3=0.5))
    computer._failing = lambda s: s == leader and computer.n_tries[candidate] > 0
    search = held(computer)
    assert search.best == DEFAULT
    assert search.results[leader].failure == "llama.cpp has crashed"


def test_one_hiccup_in_the_final_does_not_undo_a_clear_gain() -> None:
    computer = Computer(costs(threads_3=0.5), turn=60.0)  # so large that the time is over before the final
    winner = replace(DEFAULT, threads=3)
    computer._cost = lambda s: 5.0 if s == winner and computer.n_tries[winner] == 3 else (0.5 if s == winner else 1.0)
    assert held(computer, seconds=10.0).best == winner
    computer._cost = lambda s: (
        5.0 if s == winner and computer.n_tries[winner] % 3 == 0 else (0.5 if s == winner else 1.0)
    )
    assert held(computer, seconds=10.0).best == DEFAULT


def test_defaults_that_crash_are_an_error() -> None:
    with pytest.raises(EngineError, match=r"llama\.cpp has crashed"):
        held(Computer(costs(), failing=lambda _: True))


def test_while_others_are_at_work_the_number_of_threads_is_left_alone() -> None:
    computer = Computer(costs(threads_3=0.5, repack_False=0.8), others=0.4)
    search = held(computer)
    assert search.is_busy
    assert search.best == replace(DEFAULT, repack=False)
    assert {settings.threads for settings, _ in computer.measured} == {DEFAULT.threads}


@pytest.mark.parametrize("seconds", [10.0, 30.0, 120.0])
@pytest.mark.parametrize("turn", [1.0, 8.0])
def test_it_takes_about_the_time_that_it_is_given(seconds: float, turn: float) -> None:
    computer = Computer(random_costs(0, 0.8, 1.3), turn=turn)
    held(computer, seconds=seconds)
    assert computer.now < 1.5 * seconds + 6 * turn


def test_a_large_model_is_measured_enough_for_a_final_whatever_the_time() -> None:
    computer = Computer(costs(threads_3=0.5), turn=60.0)
    assert held(computer, seconds=1.0).best == replace(DEFAULT, threads=3)
    assert computer.now < 180


def test_no_more_than_a_turns_prompt_is_read_however_large_the_batch() -> None:
    computer = Computer(costs())
    held(computer, replace(DEFAULT, n_batch=512))
    assert max(workload.read for _, workload in computer.measured) == 256


def test_what_the_time_did_not_suffice_for_is_named() -> None:
    assert held(Computer(costs(), turn=60.0), seconds=30.0).untried == ["repack", "variant", "n_batch"]
    assert held(Computer(costs(), turn=60.0), seconds=600.0).untried == []


def test_a_round_that_would_take_more_than_is_left_of_the_time_is_left_out() -> None:
    computer = Computer(costs(), turn=30.0)
    values = {"threads": (3, 4), "n_batch": (64, 128, 256)}  # a round of the three takes 48 seconds
    search = SettingsSearch(computer, DEFAULT, values, 60.0, clock=lambda: computer.now)
    search.run()
    assert search.untried == ["n_batch"]
    assert computer.now < 36


def test_kernels_are_compared_on_whole_batches_and_threads_on_less() -> None:
    computer = Computer(costs(), turn=20.0)
    held(computer, seconds=120.0)
    reads = {(s.threads == 4, s.repack, s.variant): workload.read for s, workload in computer.measured if s != DEFAULT}
    assert {reads[key] for key in reads if not key[0]} == {32}
    assert {reads[key] for key in reads if not key[1] or key[2] != "zen4"} == {128}


def test_batches_are_compared_by_whole_batches() -> None:
    computer = Computer(costs(), turn=8.0)
    held(computer, seconds=60.0)
    by_batch = {settings.n_batch: workload.read for settings, workload in computer.measured if settings.n_batch != 128}
    assert by_batch == {64: 64, 256: 256}


@pytest.mark.parametrize(
    ("ratios", "is_win"),
    [
        ([0.9] * 6, True),
        ([0.9] * 5, False),
        ([], False),
        ([0.98] * 18, False),
        ([0.9] * 7 + [1.1], False),
        ([0.9] * 8 + [1.1], True),
        ([0.9] * 9 + [1.1] * 2, False),
        ([0.9] * 10 + [1.1] * 2, True),
        ([1.0] * 6, False),
    ],
)
def test_a_win_is_clear_and_nearly_always(ratios: Sequence[float], is_win: bool) -> None:
    assert wins(ratios) is is_win

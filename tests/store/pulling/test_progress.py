"""Progress of a pull: speeds of this run only, and what other processes read of it."""

from pathlib import Path

import pytest

from seallm_edge.store.pulling.progress import (
    CHECKING,
    FETCHING,
    WAITING,
    Progress,
    Reporter,
    SpeedMeter,
    share,
    shared_progress,
)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_steady_speed_is_measured_as_it_is(clock: Clock) -> None:
    meter = SpeedMeter(clock)
    speeds = []
    for second in range(1, 30):
        clock.now += 1
        speeds.append(meter.add(second * 1_000))
    assert speeds == [pytest.approx(1_000)] * 29


def test_a_changed_speed_is_followed_within_some_seconds(clock: Clock) -> None:
    meter, n_bytes = SpeedMeter(clock), 0
    for rate in [1_000] * 30 + [100] * 24:
        clock.now += 1
        n_bytes += rate
        speed = meter.add(n_bytes)
    assert speed == pytest.approx(100, rel=0.5)


def test_no_speed_is_stated_in_the_first_second(clock: Clock) -> None:
    meter = SpeedMeter(clock)
    clock.now += 0.5
    assert meter.add(1_000_000) is None


def test_a_resumed_pull_counts_the_bytes_of_this_run_only(clock: Clock, tmp_path: Path) -> None:
    told: list[Progress] = []
    received = [7_000]  # by an earlier pull of this process
    reporter = Reporter(tmp_path / "x.progress", lambda: received[0], told.append, clock)
    reporter.begin(done=900_000, total=1_000_000, network_plan=100_000)
    for _ in range(10):
        clock.now += 1
        received[0] += 2_000
        reporter.fetched(900_000 + received[0] - 7_000, 1_000_000)
    assert told[0] == Progress(FETCHING, 900_000, 1_000_000, 0, 100_000)
    assert (told[-1].done, told[-1].network, told[-1].network_plan) == (920_000, 20_000, 100_000)
    assert told[-1].speed == pytest.approx(2_000)
    assert told[-1].seconds_left == pytest.approx(40)


def test_bytes_that_are_hashed_again_are_no_negative_speed(clock: Clock, tmp_path: Path) -> None:
    told: list[Progress] = []
    reporter = Reporter(tmp_path / "x.progress", lambda: 0, told.append, clock)
    reporter.begin(900, 1_000, 100)
    clock.now += 2
    reporter.fetched(10, 1_000)
    assert (told[-1].speed, told[-1].seconds_left) == (0, None)


def test_progress_is_shared_twice_a_second_at_most(clock: Clock, tmp_path: Path) -> None:
    shared = tmp_path / "x.progress"
    reporter = Reporter(shared, lambda: 0, None, clock)
    reporter.begin(0, 1_000, 1_000)
    reporter.fetched(100, 1_000)
    assert shared_progress(shared) == Progress(WAITING, 0, 1_000, 0, 1_000)
    clock.now += 0.6
    reporter.fetched(200, 1_000)
    assert (found := shared_progress(shared)) is not None
    assert found.done == 200
    reporter.checking(1_000, 1_000)
    assert reporter.last.phase == CHECKING


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"phase": "fetching"}', '{"x": 1}'])
def test_a_missing_or_half_written_file_shares_nothing(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "x.progress"
    if content is not None:
        file.write_text(content)
    assert shared_progress(file) is None


def test_a_progress_that_cannot_be_shared_stops_nothing(tmp_path: Path) -> None:
    share(tmp_path / "no" / "such" / "folder.progress", Progress(FETCHING, 1, 2))

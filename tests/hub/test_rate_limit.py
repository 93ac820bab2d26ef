"""Rate limits, on a clock of their own: the rate is kept, a stall is followed by no burst."""

from __future__ import annotations

import pytest

from seallm_edge.errors import InvalidOption
from seallm_edge.hub import Network, RateLimit, Stop, Traffic, open_repository


class Clock:
    """Time that passes when somebody sleeps, and late by `lateness` seconds as a system's timer is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, lateness: float) -> None:
        self.now = 1000.0
        self.lateness = lateness
        monkeypatch.setattr("seallm_edge.hub.rate_limit.time.monotonic", lambda: self.now)
        monkeypatch.setattr(Stop, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds + self.lateness


def read(limit: RateLimit, n: int) -> int:
    """Read `n` bytes, as they are granted: the largest read."""
    largest, stop = 0, Stop()
    while n:
        granted = limit.grant(n, stop)
        n -= granted
        largest = max(largest, granted)
    return largest


@pytest.mark.parametrize("lateness", [0.0, 0.002, 0.08])
@pytest.mark.parametrize("rate", [20e3, 300e3, 2e6, 20e6])
def test_a_rate_is_kept_though_the_clock_is_late(monkeypatch: pytest.MonkeyPatch, rate: float, lateness: float) -> None:
    clock, limit = Clock(monkeypatch, lateness), RateLimit(rate)
    start = clock.now
    read(limit, int(20 * rate))
    assert clock.now - start == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize("rate", [20e3, 20e6])
def test_reads_are_small_so_that_a_slow_transfer_is_smooth(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    Clock(monkeypatch, 0)
    assert read(RateLimit(rate), int(rate)) <= rate / 20


def test_after_a_stall_there_is_no_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, limit = Clock(monkeypatch, 0), RateLimit(100e3)
    read(limit, 100_000)
    clock.now += 60
    start = clock.now
    read(limit, 100_000)
    assert clock.now - start == pytest.approx(1, abs=0.16)


def test_bytes_that_do_not_come_are_not_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, limit = Clock(monkeypatch, 0), RateLimit(100e3)
    start, done = clock.now, 0
    while done < 500_000:
        granted = limit.grant(5_000, Stop())
        came = min(granted, 1_000)
        limit.give_back(granted - came)
        done += came
    assert clock.now - start == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("rate", [0, -1, 999, float("nan")])
def test_a_limit_that_nothing_comes_through_is_refused(rate: float) -> None:
    with pytest.raises(InvalidOption, match="bytes a second are no useful limit"):
        RateLimit(rate)


def test_traffic_adds_up() -> None:
    traffic = Traffic()
    traffic.add(3)
    traffic.add(4)
    assert traffic.n_bytes == 7


def test_a_limited_network_reads_a_file_through_its_limit(hub, folder, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repository("SeaLLMs/tiny", folder)
    network = Network(limit=RateLimit(10e6))
    granted = []
    real = RateLimit.grant
    monkeypatch.setattr(RateLimit, "grant", lambda *arguments: granted.append(real(*arguments)) or granted[-1])
    assert (
        open_repository("SeaLLMs/tiny", network).read("model.safetensors")
        == (folder / "model.safetensors").read_bytes()
    )
    assert sum(granted) >= 300_000

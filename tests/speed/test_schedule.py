"""Sizes of the tries, by the speed of the machine and the time."""

import pytest

from seallm_edge.speed.schedule import Schedule


@pytest.mark.parametrize(
    ("seconds", "prefill", "decode", "sizes"),
    [
        (40.0, 500.0, 100.0, (256, 64, 91)),  # the demo model on two cores
        (40.0, 100.0, 20.0, (256, 45, 24)),
        (40.0, 20.0, 5.0, (64, 11, 0)),  # the languages would take a minute
        (1.0, 500.0, 100.0, (32, 8, 0)),
        (3600.0, 1.0, 0.5, (256, 64, 41)),
        (3600.0, 500.0, 100.0, (256, 64, 96)),
    ],
)
def test_tries_fit_into_the_time(seconds: float, prefill: float, decode: float, sizes: tuple[int, int, int]) -> None:
    schedule = Schedule(seconds, prefill, decode, 12)
    assert (schedule.n_prompt, schedule.n_reply, schedule.n_part) == sizes

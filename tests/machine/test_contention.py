"""Load of other programs."""

from __future__ import annotations

from typing import Any

import pytest

from seallm_edge.machine import contention


def test_what_others_took_is_what_neither_this_process_nor_its_children_did(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: dict[str, Any] = {"busy": 100.0, "all": 1_000.0, "own": 5.0}
    monkeypatch.setattr(contention, "_processors_seconds", lambda: (clock["busy"], clock["all"]))
    monkeypatch.setattr(contention, "_own_seconds", lambda: clock["own"])
    load = contention.ContentionMeter()
    assert load.share() == 0.0
    clock.update(busy=110.0, all=1_020.0, own=6.0)
    load.add(2.0)
    assert load.share([1.0, 2.0]) == pytest.approx((10 - 1 - 2 - 3) / 20)
    assert load.share([100.0]) == 0.0

"""Ollama's protocol: the times of models in memory."""

from __future__ import annotations

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.server.model_pool import FOREVER, LoadedModel
from seallm_edge.server.ollama import running
from seallm_edge.server.ollama_replies import seconds_of


@pytest.mark.parametrize("keep_alive", [-1, 1e300, "999999999999h", FOREVER])
def test_a_model_may_stay_beyond_the_last_date(keep_alive: float | str) -> None:
    model = LoadedModel("m", SeaLLM.from_engine(ScriptedEngine([])), seconds_of(keep_alive) or 0.0)
    assert running(model, None)["expires_at"] == "9999-12-31T23:59:59Z"

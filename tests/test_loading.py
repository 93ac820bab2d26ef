"""Models on GPUs that have less memory than they said: fewer layers, then none, and a word about it."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import EngineError, SeaLLM, loading
from seallm_edge.engine import loaded
from seallm_edge.gguf_file import fingerprint, read_header
from seallm_edge.machine import Gpu
from seallm_edge.native import gpu_speed
from seallm_edge.native.backends import Backends, load_backends
from seallm_edge.tuning import saved_settings
from seallm_edge.tuning.saved_settings import Tuned

pytestmark = pytest.mark.slow


class FullGpu:
    """A GPU that is there and takes no layers: what was tried to be put on it."""

    def __init__(self) -> None:
        self.gpu = Gpu("Vulkan0", "Test GPU", 4_000_000_000, 8_000_000_000, speedup=3.0)
        self.tried: list[tuple[int, tuple[str, ...]]] = []


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> FullGpu:
    found = FullGpu()
    real_model, real_backends = loaded.Model, load_backends()

    def backends(prefer: str = "") -> Backends:
        return replace(real_backends, gpus=(found.gpu,))

    def model(path: Path, *, n_gpu_layers: int, gpus: tuple[str, ...], **options: Any) -> Any:
        found.tried.append((n_gpu_layers, tuple(gpus)))
        if n_gpu_layers:
            raise EngineError("llama.cpp cannot load it", "convert it again")
        return real_model(path, **options)

    monkeypatch.setattr(loading, "load_backends", backends)
    monkeypatch.setattr(gpu_speed, "compared", lambda gpus, header, fingerprint: tuple(gpus))
    monkeypatch.setattr(loaded, "Model", model)
    return found


def test_a_gpu_that_does_not_take_the_layers_is_left_out_with_a_warning(
    full: FullGpu, demo_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "seallm_edge"), SeaLLM(demo_file, context=512) as llm:
        assert llm.plan
        assert llm.plan.gpu_layers == 0
        assert "all layers on the CPU: Test GPU cannot run it (llama.cpp cannot load it)" in llm.plan.reasons
        assert llm.chat("Hi", max_tokens=2, temperature=0).usage.reply_tokens == 2
    assert full.tried == [(31, ("Vulkan0",)), (0, ())]
    assert "the GPU did not take 31 layers (llama.cpp cannot load it); trying 0" in caplog.text


def test_a_gpu_with_less_memory_than_it_said_gets_fewer_layers(full: FullGpu, demo_file: Path) -> None:
    full.gpu = replace(full.gpu, memory_free=690_000_000)
    with SeaLLM(demo_file, context=512) as llm:
        assert llm.plan
        assert llm.plan.gpu_layers == 0
    layers = [n for n, _ in full.tried]
    assert layers[0] > layers[-1] == 0
    assert layers == sorted(layers, reverse=True)


def test_layers_that_tuning_found_are_left_out_once_the_gpu_does_not_take_them(full: FullGpu, demo_file: Path) -> None:
    full.gpu = replace(full.gpu, speedup=0.9)
    identity = fingerprint(read_header(demo_file))
    tuned = Tuned(1, 64, repack=False, variant=load_backends().variant, gain=1.1, gpu_layers=14)
    saved_settings.keep(identity, tuned)
    with SeaLLM(demo_file, context=512) as llm:
        assert llm.plan
        assert llm.plan.gpu_layers == 0
    assert full.tried == [(14, ("Vulkan0",)), (0, ())]


def test_layers_that_were_asked_for_are_not_taken_back(full: FullGpu, demo_file: Path) -> None:
    with pytest.raises(EngineError, match="cannot load it"):
        SeaLLM(demo_file, context=512, gpu_layers=10)
    assert full.tried == [(10, ("Vulkan0",))]

"""A GPU that fails in the middle of replies: they go on without it, and none of their text is lost.

The GPU is one in name only: the model is on the CPU, and the native step is refused while the plan says otherwise.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import EngineError, SeaLLM, loading
from seallm_edge.engine import Request, loaded
from seallm_edge.errors import NotEnoughMemory
from seallm_edge.gguf_file import fingerprint, read_header
from seallm_edge.machine import Gpu
from seallm_edge.native import gpu_speed
from seallm_edge.native import model as native_model
from seallm_edge.native.backends import Backends, load_backends
from seallm_edge.native.batch import Batch
from seallm_edge.native.context import Context, _cause
from seallm_edge.native.model import GpuFailed
from seallm_edge.tuning import saved_settings
from seallm_edge.tuning.saved_settings import Tuned

pytestmark = pytest.mark.slow

N_LAYERS = 31
COUNT = "Count from one to twenty in words."
GREEDY = {"temperature": 0, "max_tokens": 24}


class PretendGpu:
    """A GPU that computes `n_steps` steps, and then fails; where `is_lost`, so that nothing on it can be freed."""

    def __init__(self) -> None:
        self.gpus = [Gpu("Vulkan0", "Test GPU", 4_000_000_000, 8_000_000_000, speedup=3.0)]
        self.n_steps = 1 << 30
        self.is_lost = True


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> PretendGpu:
    made = PretendGpu()
    real_model, real_backends, real_run = loaded.Model, load_backends(), Context.run

    def backends(prefer: str = "") -> Backends:
        return replace(real_backends, gpus=tuple(made.gpus))

    def model(path: Path, *, n_gpu_layers: int, gpus: tuple[str, ...], **options: Any) -> Any:
        found = real_model(path, **options)
        found.n_gpu_layers, found._gpus = n_gpu_layers, frozenset(gpus)
        found.check_gpus()
        return found

    def run(context: Context, batch: Batch) -> None:
        if context._model.n_gpu_layers:
            if not made.n_steps:
                if made.is_lost:
                    context._model.lose()
                raise GpuFailed("ErrorDeviceLost")
            made.n_steps -= 1
        real_run(context, batch)

    for module in (loading, native_model):
        monkeypatch.setattr(module, "load_backends", backends)
    monkeypatch.setattr(gpu_speed, "_measured", lambda gpu, header: {"speedup": gpu.speedup})
    monkeypatch.setattr(gpu_speed, "_GIVEN_UP", {})
    monkeypatch.setattr(native_model, "_LOST", set())
    monkeypatch.setattr(loaded, "Model", model)
    monkeypatch.setattr(Context, "run", run)
    return made


@pytest.fixture(scope="module")
def whole(demo_file: Path) -> str:
    """The reply of a model that nothing happens to."""
    with SeaLLM(demo_file, context=512) as llm:
        return llm.chat(COUNT, **GREEDY).text


@pytest.mark.parametrize("is_lost", [True, False], ids=["lost", "out of memory"])
@pytest.mark.parametrize("n_steps", [0, 1, 6], ids=["in its prompt", "at its first token", "midway"])
def test_a_reply_goes_on_without_the_gpu(
    gpu: PretendGpu, demo_file: Path, whole: str, caplog: pytest.LogCaptureFixture, n_steps: int, is_lost: bool
) -> None:
    gpu.n_steps, gpu.is_lost = n_steps, is_lost
    with SeaLLM(demo_file, context=512) as llm:
        assert llm.plan
        assert llm.plan.gpu_layers == N_LAYERS
        with caplog.at_level(logging.WARNING, "seallm_edge"):
            reply = llm.chat(COUNT, **GREEDY)
        assert reply.text == whole
        assert llm.plan.gpu_layers == 0
        assert llm.n_ctx == 512
        assert "all layers on the CPU: Test GPU cannot run it (ErrorDeviceLost)" in llm.plan.reasons
        assert "the GPU failed (ErrorDeviceLost); going on without it" in caplog.text
        assert llm.chat(COUNT, **GREEDY).text == whole


def test_replies_that_run_and_wait_all_go_on(gpu: PretendGpu, demo_file: Path, whole: str) -> None:
    gpu.n_steps = 5
    with SeaLLM(demo_file, context=512) as llm:
        streams = [llm.stream(COUNT, **GREEDY) for _ in range(5)]
        assert [stream.read().text for stream in streams] == [whole] * 5


def test_a_reply_with_a_seed_goes_on_with_its_own_dice(gpu: PretendGpu, demo_file: Path) -> None:
    dice = {"temperature": 1.0, "seed": 7, "max_tokens": 16}
    with SeaLLM(demo_file, context=512, gpu_layers=0) as llm:
        expected = llm.chat(COUNT, **dice).text
    gpu.n_steps = 6
    with SeaLLM(demo_file, context=512) as llm:
        assert llm.chat(COUNT, **dice).text == expected


def test_a_reply_with_a_schema_stays_within_it(gpu: PretendGpu, demo_file: Path) -> None:
    gpu.n_steps = 4
    schema = {"type": "object", "properties": {"fruit": {"enum": ["mango", "durian"]}}, "required": ["fruit"]}
    with SeaLLM(demo_file, context=512) as llm:
        reply = llm.chat("Name a fruit.", schema=schema, temperature=0)
        assert json.loads(reply.text)["fruit"] in ("mango", "durian")


def test_a_gpu_that_does_not_give_its_states_back_costs_no_reply(
    gpu: PretendGpu, demo_file: Path, whole: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(context: Context, sequence: int) -> memoryview:
        context._model.lose()
        raise GpuFailed("llama.cpp gave 0 of 100 bytes of a sequence's state")

    with SeaLLM(demo_file, context=512, prefix_cache=100_000_000) as llm:
        llm.chat("The history of rice in Asia is long. " * 30, max_tokens=1)
        with monkeypatch.context() as patch:
            patch.setattr(Context, "state", state)
            many = [llm.stream("Rice grows in water. " * 40 + COUNT, **GREEDY) for _ in range(2)]
            texts = [stream.read().text for stream in [llm.stream(COUNT, **GREEDY), *many]]
        assert texts[0] == whole
        assert all(texts)
        assert llm.plan
        assert llm.plan.gpu_layers == 0


def test_layers_that_were_asked_for_do_not_lose_a_reply(gpu: PretendGpu, demo_file: Path, whole: str) -> None:
    gpu.n_steps = 6
    with SeaLLM(demo_file, context=512, gpu_layers=10) as llm:
        assert llm.chat(COUNT, **GREEDY).text == whole
        assert llm.plan
        assert llm.plan.gpu_layers == 0


def test_a_gpu_that_failed_is_left_alone_by_the_next_model_and_the_next_program(
    gpu: PretendGpu, demo_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu.n_steps = 0
    for _ in range(2):
        with SeaLLM(demo_file, context=512) as llm:
            llm.chat("Hi", max_tokens=1)
            assert llm.plan
            assert llm.plan.gpu_layers == 0
        for name, empty in ((gpu_speed, "_GIVEN_UP"), (native_model, "_LOST")):  # as in another program
            monkeypatch.setattr(name, empty, type(getattr(name, empty))())
    header = read_header(demo_file)
    (known,) = gpu_speed.compared(gpu.gpus, header, fingerprint(header))
    assert known.problem == "ErrorDeviceLost"


def test_snapshots_of_the_gpu_are_not_taken_on_the_cpu(
    gpu: PretendGpu, demo_file: Path, tmp_path: Path, whole: str
) -> None:
    prompt = "The history of rice in Asia is long. " * 12 + COUNT
    with SeaLLM(demo_file, context=512, snapshots=tmp_path) as llm:
        llm.chat(prompt, max_tokens=1, temperature=0)
        gpu.n_steps = 0
        assert llm.chat(COUNT, **GREEDY).text == whole
        assert llm.chat(prompt, max_tokens=1, temperature=0).usage.cached_tokens < 64


@pytest.mark.parametrize("is_short_of_memory", [True, False], ids=["smaller context", "no room at all"])
def test_what_no_longer_fits_is_told(
    gpu: PretendGpu, demo_file: Path, monkeypatch: pytest.MonkeyPatch, is_short_of_memory: bool
) -> None:
    real = loading.make_plan

    def make_plan(header: Any, machine: Any, options: Any, **facts: Any) -> Any:
        if gpu.n_steps == 0 and (options.context or not is_short_of_memory):
            raise NotEnoughMemory("too little memory", 2, 1, "free some")
        return real(header, machine, replace(options, context=options.context or 256), **facts)

    monkeypatch.setattr(loading, "make_plan", make_plan)
    with SeaLLM(demo_file, context=512) as llm:
        gpu.n_steps = 0
        long = llm.stream("rice " * 300, max_tokens=4)
        if is_short_of_memory:
            assert long.read().finish_reason == "length"
            assert llm.n_ctx == 256
            assert llm.chat("Hi", max_tokens=2, temperature=0).text
        else:
            with pytest.raises(EngineError, match=r"the GPU failed \(ErrorDeviceLost\), and without it: too little"):
                long.read()


def test_a_model_that_is_lost_is_never_freed(gpu: PretendGpu, demo_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SeaLLM(demo_file, context=512) as llm:
        model = llm._engine._worker._loaded._model
        native, freed = model._llama, []
        monkeypatch.setattr(native, "llama_model_free", freed.append)
        gpu.n_steps = 0
        llm.chat("Hi", max_tokens=1)
        assert model.is_lost
        assert not freed
        monkeypatch.undo()


def test_one_gpu_may_fail_after_another(gpu: PretendGpu, demo_file: Path, whole: str) -> None:
    gpu.gpus.append(Gpu("Vulkan1", "Graphics", 4_000_000_000, 8_000_000_000, is_integrated=True, speedup=2.0))
    gpu.n_steps = 0
    with SeaLLM(demo_file, context=512) as llm:
        assert llm.plan
        assert llm.plan.gpus == ("Vulkan0",)
        assert llm.chat(COUNT, **GREEDY).text == whole
        assert llm.plan.gpus == ()
        assert set(gpu_speed._GIVEN_UP) == {"Vulkan0", "Vulkan1"}


def test_layers_that_tuning_found_are_not_given_to_the_next_gpu(gpu: PretendGpu, demo_file: Path, whole: str) -> None:
    gpu.gpus.append(Gpu("Vulkan1", "Graphics", 4_000_000_000, 8_000_000_000, is_integrated=True))
    header = read_header(demo_file)
    slow = f"{fingerprint(header)} Graphics 8000000000"
    gpu_speed._RECORDS.keep(slow, {"speedup": 0.3})
    tuned = Tuned(1, 64, repack=False, variant=load_backends().variant, gain=1.1, gpu_layers=31)
    saved_settings.keep(fingerprint(header), tuned)
    gpu.n_steps = 6
    with SeaLLM(demo_file, context=512) as llm:
        assert llm.chat(COUNT, **GREEDY).text == whole
        assert llm.plan
        assert llm.plan.gpus == ()


def test_other_models_on_a_lost_gpu_go_on_without_it_too(gpu: PretendGpu, demo_file: Path, whole: str) -> None:
    with SeaLLM(demo_file, context=512) as one, SeaLLM(demo_file, context=512, keep_alive=0.2) as other:
        assert other.chat(COUNT, **GREEDY).text == whole
        gpu.n_steps = 0
        assert one.chat(COUNT, **GREEDY).text == whole
        gpu.n_steps = 1 << 30
        while other.is_loaded:
            time.sleep(0.02)
        assert other.chat(COUNT, **GREEDY).text == whole
        assert other.plan
        assert other.plan.gpu_layers == 0
    with pytest.raises(EngineError, match=r"the GPU has failed in this program\n  start the program again"):
        SeaLLM(demo_file, context=512, gpu_layers=10)


def test_a_request_that_came_during_the_failure_and_no_longer_fits_ends(
    gpu: PretendGpu, demo_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loading.make_plan

    def make_plan(header: Any, machine: Any, options: Any, **facts: Any) -> Any:
        if gpu.n_steps == 0 and options.context:
            late.append(llm._engine.submit(Request(tokens, llm.sampling)))
            raise NotEnoughMemory("too little memory", 2, 1, "free some")
        return real(header, machine, replace(options, context=options.context or 256), **facts)

    late: list[Any] = []
    monkeypatch.setattr(loading, "make_plan", make_plan)
    with SeaLLM(demo_file, context=512) as llm:
        tokens = llm.tokenize("rice " * 300)
        gpu.n_steps = 0
        assert llm.chat("Hi", max_tokens=2, temperature=0).text
        assert late[0].output.get().finish_reason == "length"
        assert llm.chat("Hi", max_tokens=2, temperature=0).text


def test_a_model_is_closed_whose_gpu_does_not_give_its_states(
    gpu: PretendGpu, demo_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = SeaLLM(demo_file, context=512, prefix_cache=100_000_000)
    llm.chat("The history of rice in Asia is long. " * 12, max_tokens=1)
    llm._engine._worker._loaded._model.lose()
    llm.close()
    with pytest.raises(EngineError, match="closed"):
        llm.chat("Hi")


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (
            ["ggml_vulkan: device lost on Vulkan0", "vk::Queue::submit: ErrorDeviceLost"],
            "vk::Queue::submit: ErrorDeviceLost",
        ),
        (
            ["CUDA error: out of memory", "current device: 0", "cuMemCreate(...)", "ggml-cuda.cu:109: CUDA error"],
            "CUDA error: out of memory",
        ),
        (
            ["command buffer failed", "decode: removing memory module entries for seq_id = 3, pos = [12, +inf)",
             "llama_decode: failed to decode, ret = -3"],
            "command buffer failed",
        ),
        (["llama_decode: failed to decode, ret = -3"], ""),
    ],
)  # fmt: skip
def test_the_cause_is_in_the_words_of_the_driver(words: list[str], cause: str) -> None:
    assert _cause(words) == cause

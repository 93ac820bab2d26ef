"""Models on a GPU: the same replies, the same promises. A GPU in software does, if slowly; skipped where there is none.

`make test-gpu` builds llama.cpp with Vulkan for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seallm_edge import EngineError, Reply, SeaLLM
from seallm_edge.gguf_file import fingerprint, read_header
from seallm_edge.native import gpu_speed
from seallm_edge.native.backends import load_backends
from seallm_edge.native.context import Context
from seallm_edge.native.model import Model

GPUS = load_backends().gpus
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not GPUS, reason="llama.cpp sees no GPU here"),
]
N_LAYERS = 31  # of the demo model, with the output
TOKENS = list(range(1000, 1024))
# A GPU multiplies by numbers of 32 bits, the CPU by rounded ones of 8.
MAX_LOGIT_ERROR = 1.0
QUESTION = "What is the capital of Japan?"


@pytest.fixture(scope="module")
def on_cpu(demo_file: Path) -> np.ndarray:
    return logits(demo_file, 0)


def logits(path: Path, n_layers: int) -> np.ndarray:
    """Logits of the vocabulary behind `TOKENS`, with so many layers on the first GPU."""
    model = Model(path, n_gpu_layers=n_layers, gpus=[gpu.name for gpu in GPUS[:1]])
    context = Context(model, n_ctx=64, n_batch=32, n_threads=2)
    try:
        context.decode(TOKENS, 0)
        return context.logits().copy()
    finally:
        context.close()
        model.close()


@pytest.mark.parametrize("n_layers", [10, N_LAYERS], ids=["some layers", "all layers"])
def test_logits_are_those_of_the_cpu_but_for_rounding(demo_file: Path, on_cpu: np.ndarray, n_layers: int) -> None:
    found = logits(demo_file, n_layers)
    assert np.isfinite(found).all()
    assert np.abs(found - on_cpu).max() < MAX_LOGIT_ERROR
    assert np.corrcoef(found, on_cpu)[0, 1] > 0.999


@pytest.fixture(scope="module")
def llm(demo_file: Path) -> Iterator[SeaLLM]:
    """The demo model with all layers on the GPU."""
    with SeaLLM(demo_file, context=1024, gpu_layers=N_LAYERS) as loaded:
        yield loaded


def test_the_plan_counts_the_layers_and_their_memory(llm: SeaLLM) -> None:
    assert llm.plan
    assert (llm.plan.gpu_layers, llm.plan.gpus) == (N_LAYERS, tuple(gpu.name for gpu in GPUS))
    if not any(gpu.is_integrated for gpu in GPUS):
        assert 0.09e9 < llm.plan.gpu_bytes < 0.3e9


def test_the_model_answers(llm: SeaLLM) -> None:
    assert "Tokyo" in llm.chat(QUESTION, max_tokens=12, temperature=0).text


def test_auto_takes_a_gpu_only_if_it_was_measured_to_be_faster(demo_file: Path) -> None:
    header = read_header(demo_file)
    (known, *_) = gpu_speed.compared(GPUS, header, fingerprint(header))
    assert known.problem == ""
    assert known.speedup
    with SeaLLM(demo_file, context=512) as chosen:
        assert chosen.plan
        assert bool(chosen.plan.gpu_layers) == known.is_worth_using
        assert any(GPUS[0].description in reason for reason in chosen.plan.reasons)


def test_a_reply_is_cancelled_within_a_step(llm: SeaLLM) -> None:
    started = time.monotonic()
    list(zip(range(2), llm.stream("Count to a hundred.", max_tokens=8), strict=False))
    step = time.monotonic() - started
    stream = llm.stream("Tell me a long story.", max_tokens=200)
    next(stream)
    started = time.monotonic()
    stream.cancel()
    llm.chat("Hi", max_tokens=1)
    assert time.monotonic() - started < 2 * step + 1.0


def test_several_replies_at_once_are_those_of_each_alone(llm: SeaLLM) -> None:
    questions = [f"What is {number} plus {number}?" for number in range(3)]
    alone = [llm.chat(question, max_tokens=6, temperature=0) for question in questions]
    together: dict[int, Reply] = {}

    def ask(place: int) -> None:
        together[place] = llm.chat(questions[place], max_tokens=6, temperature=0, logprobs=2)

    threads = [threading.Thread(target=ask, args=(place,)) for place in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, reply in enumerate(alone):
        assert agrees(reply, together[place])


def agrees(expected: Reply, found: Reply) -> bool:
    """Whether two texts are the same, or part where the two likeliest tokens were almost as likely."""
    if found.text == expected.text:
        return True
    shared = 0
    for token in found.logprobs:
        shared += len(token.data.decode("utf-8", "ignore"))
        if not expected.text.startswith(found.text[:shared]):
            first, second, *_ = token.top
            return first.logprob - second.logprob < 0.2
    return False


def test_drafting_does_not_change_a_reply(llm: SeaLLM, demo_file: Path) -> None:
    drafted = llm.chat("Repeat: rice rice rice rice rice", max_tokens=10, temperature=0, logprobs=2)
    with SeaLLM(demo_file, context=512, gpu_layers=N_LAYERS, drafting="off") as plain:
        assert agrees(plain.chat("Repeat: rice rice rice rice rice", max_tokens=10, temperature=0), drafted)


def test_a_snapshot_of_the_cpu_is_not_taken_for_one_of_the_gpu(demo_file: Path, tmp_path: Path) -> None:
    prompt = "The history of rice in Asia is long. " * 12 + QUESTION
    cached = []
    for n_layers in (0, N_LAYERS, 0, N_LAYERS):
        with SeaLLM(demo_file, context=512, gpu_layers=n_layers, snapshots=tmp_path) as one:
            cached.append(one.chat(prompt, max_tokens=1, temperature=0).usage.cached_tokens)
    assert cached[:2] == [0, 0]
    assert min(cached[2:]) > 64


def test_two_models_share_a_gpu(llm: SeaLLM, demo_file: Path) -> None:
    with SeaLLM(demo_file, context=512, gpu_layers=N_LAYERS) as other:
        assert other.chat(QUESTION, max_tokens=4, temperature=0).text
        assert llm.chat(QUESTION, max_tokens=4, temperature=0).text


def test_a_gpu_that_is_not_there_is_refused(demo_file: Path) -> None:
    with pytest.raises(EngineError, match="no longer sees the GPU Vulkan77"):
        Model(demo_file, n_gpu_layers=1, gpus=["Vulkan77"])

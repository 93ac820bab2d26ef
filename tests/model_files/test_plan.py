"""Plans against fabricated machines; the estimate against llama.cpp's own figure."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from seallm_edge.catalogue import cards
from seallm_edge.errors import InvalidOption, NotEnoughMemory
from seallm_edge.gguf_file import Header, read_header
from seallm_edge.machine import Gpu, Machine
from seallm_edge.memory import best_type, compute_bytes, largest_that_fits, needed_bytes
from seallm_edge.plan import make_plan
from seallm_edge.shape import Shape

GB = 1_000_000_000
MACHINE = Machine("", "", 4, 4, 8, (), 64 * GB, 32 * GB, "")
Q8_0 = 8


def machine(free: float) -> Machine:
    return replace(MACHINE, memory_available=round(free * GB))


def gpu(free: float) -> Gpu:
    return Gpu("CUDA0", "Test GPU", round(free * GB), 24 * GB)


@pytest.fixture
def seallm_7b(write_gguf: Callable[..., Path]) -> Header:
    """The header of a file with the shape of SeaLLMs-v3-7B-Chat in Q8_0 (its weights are a hole), small vocabulary."""
    shape = replace(cards()["seallms-v3-7b-chat"].shape, n_vocab=32_000, tied=True)
    change = {"qwen2.context_length": ("uint32", 131_072)}
    return read_header(write_gguf("SeaLLMs-v3-7B-Chat-Q8_0.gguf", shape=shape, kind=Q8_0, change=change))


def test_plenty_of_memory_gives_the_usual_context_and_the_performance_cores(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE)

    assert (plan.n_ctx, plan.n_batch, plan.threads, plan.gpu_layers, plan.gpu_bytes) == (8192, 128, 4, 0, 0)
    assert plan.weights_bytes == seallm_7b.tensor_bytes
    assert plan.kv_bytes == 8192 * 56 * 1024
    assert plan.total_bytes == plan.main_bytes == plan.weights_bytes + plan.kv_bytes + plan.compute_bytes
    assert plan.reasons == (
        "context 8,192: fits in the free memory",
        "threads 4: one for each of 4 cores",
        "all layers on the CPU",
    )


def test_context_is_never_more_than_the_model_was_trained_for(write_gguf: Callable[..., Path]) -> None:
    assert make_plan(read_header(write_gguf()), MACHINE).n_ctx == 4096


def test_less_memory_halves_the_context(seallm_7b: Header) -> None:
    full = make_plan(seallm_7b, MACHINE)
    plan = make_plan(seallm_7b, machine((full.total_bytes - 1) / GB))

    assert plan.n_ctx == 4096
    needed, free = f"{full.total_bytes / GB:.1f}", f"{(full.total_bytes - 1) / GB:.1f}"
    assert plan.reasons[0] == f"context 4,096: 8,192 would need {needed} GB of {free} GB free"


def test_the_smallest_context_is_2048(seallm_7b: Header) -> None:
    needed = make_plan(seallm_7b, MACHINE).total_bytes - 6144 * 56 * 1024

    assert make_plan(seallm_7b, machine(needed / GB)).n_ctx == 2048
    with pytest.raises(NotEnoughMemory):
        make_plan(seallm_7b, machine((needed - 1) / GB))


def test_refusal_names_a_smaller_type_of_the_same_model(seallm_7b: Header) -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        make_plan(seallm_7b, machine(6))

    assert str(caught.value) == (
        "SeaLLMs-v3-7B-Chat-Q8_0 with a context of 2,048 needs 7.3 GB of memory but 6.0 GB is free\n"
        "  Q5_K_M of the same model fits: seallm convert FOLDER --type Q5_K_M; --force loads it all the same"
    )
    assert caught.value.free == 6 * GB


@pytest.mark.parametrize(
    ("free", "choice"),
    [
        (4, "seallms-v3-1.5b-chat (Q8_0) fits in the 4.0 GB"),
        (1.5, "seallms-v3-1.5b-chat (Q5_K_M) fits in the 1.5 GB"),
        (0.5, "smollm2-135m-instruct (Q4_1) fits in the 0.5 GB"),
        (0.1, "no model of the catalogue fits; close other programs"),
    ],
)
def test_refusal_names_a_smaller_model(seallm_7b: Header, free: float, choice: str) -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        make_plan(seallm_7b, machine(free))
    assert caught.value.cure == f"{choice}; --force loads it all the same"


def test_refusal_of_an_asked_context_names_one_that_fits(seallm_7b: Header) -> None:
    usual = make_plan(seallm_7b, MACHINE)
    with pytest.raises(NotEnoughMemory) as caught:
        make_plan(seallm_7b, machine((usual.total_bytes + 1000) / GB), context=60_000)
    assert caught.value.cure == "--context 8192 fits; --force loads it all the same"


def test_force_plans_what_does_not_fit(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, machine(1), force=True)

    assert plan.n_ctx == 2048
    assert make_plan(seallm_7b, machine(1), context=9_000, force=True).n_ctx == 9_000


def test_asked_values_are_taken(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, context=100, threads=7, gpus=[gpu(20)], gpu_layers=3)

    assert (plan.n_ctx, plan.n_batch, plan.threads, plan.gpu_layers) == (100, 100, 7, 3)
    assert plan.reasons == ("context 100: as asked", "threads 7: as asked", "3 of 29 layers on the GPU")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context": 0}, "context is 0"),
        ({"context": -5}, "context is -5"),
        ({"context": 131_073}, "context is 131073"),
        ({"context": "many"}, "context is 'many'"),
        ({"threads": True}, "threads is True"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": 513}, "threads is 513"),
        ({"gpu_layers": -1}, "gpu_layers is -1"),
        ({"gpu_layers": "all"}, "gpu_layers is 'all'"),
        ({"gpu_layers": 3}, "gpu_layers is 3, but llama.cpp sees no GPU here"),
    ],
)
def test_impossible_options_are_refused(seallm_7b: Header, options: dict, message: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        make_plan(seallm_7b, MACHINE, **options)
    assert caught.value.message == message


def test_large_gpu_takes_all_layers_and_bigger_batches(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, machine(2), gpus=[gpu(20)])

    assert (plan.gpu_layers, plan.n_batch, plan.n_ctx) == (29, 512, 8192)
    assert plan.main_bytes < GB
    embedding = next(tensor.n_bytes for tensor in seallm_7b.tensors if tensor.name == "token_embd.weight")
    assert plan.weights_bytes == seallm_7b.tensor_bytes + embedding  # tied: it lies in both memories
    assert plan.main_bytes > embedding


def test_small_gpu_takes_as_many_layers_as_fit(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, gpus=[gpu(4)])

    assert 5 < plan.gpu_layers < 20
    assert plan.gpu_bytes < 4 * GB


def test_two_gpus_share_the_layers(seallm_7b: Header) -> None:
    assert make_plan(seallm_7b, MACHINE, gpus=[gpu(5), gpu(5)]).gpu_layers == 29


def test_tiny_gpu_and_no_gpu_layers_leave_all_on_the_cpu(seallm_7b: Header) -> None:
    assert make_plan(seallm_7b, MACHINE, gpus=[gpu(0.5)]).gpu_layers == 0
    assert make_plan(seallm_7b, MACHINE, gpus=[gpu(20)], gpu_layers=0).gpu_layers == 0


@pytest.mark.parametrize(
    ("n_vocab", "n_embd", "n_ff", "n_batch", "mib"),
    [  # what llama.cpp reports as its CPU compute buffer
        (49_152, 576, 1_536, 128, 24.56),
        (49_152, 576, 1_536, 512, 98.25),
        (151_936, 1_536, 8_960, 128, 75.69),
        (151_936, 1_536, 8_960, 512, 302.75),
        (152_064, 3_584, 18_944, 128, 77.75),
        (152_064, 3_584, 18_944, 512, 311.00),
    ],
)
def test_step_buffer_is_that_of_llama_cpp(n_vocab: int, n_embd: int, n_ff: int, n_batch: int, mib: float) -> None:
    shape = Shape(28, n_embd, 12, 2, n_ff, n_vocab, True, True)
    assert compute_bytes(shape, n_batch) == pytest.approx(mib * 2**20, rel=0.01)


def test_largest_model_that_fits_comes_with_its_best_type() -> None:
    def largest(free: float) -> tuple[str, str] | None:
        found = largest_that_fits(cards().values(), machine(free))
        return (found[0].name, found[1]) if found else None

    assert largest(5.2) == ("seallms-v3-7b-chat", "Q4_K_M")
    assert largest(2) == ("seallms-v3-1.5b-chat", "Q8_0")
    assert largest(0.1) is None


def test_best_type_stays_below_a_size() -> None:
    card = cards()["seallms-v3-1.5b"]
    assert best_type(card, 64 * GB) == "Q8_0"
    assert best_type(card, 64 * GB, below=card.size("Q8_0")) == "Q6_K"
    assert best_type(card, needed_bytes(card, "Q4_0") - 1) is None

"""Plans for fabricated machines; the memory estimate against llama.cpp's own figures, and a real process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from seallm_edge import SeaLLM
from seallm_edge.catalogue.cards import cards
from seallm_edge.errors import InvalidOption, NotEnoughMemory
from seallm_edge.gguf_file import Dimensions, Header, read_header
from seallm_edge.hints import command_line_words
from seallm_edge.machine import Gpu, Machine
from seallm_edge.plan import KV_TYPES, LoadOptions, Plan
from seallm_edge.plan import make_plan as make_plan_of
from seallm_edge.plan.estimate import GPU_MARGIN_BYTES
from seallm_edge.plan.memory import (
    HEADROOM_BYTES,
    best_type,
    largest_that_fits,
    needed_bytes,
    plain_attention_bytes,
    step_bytes,
    working_bytes,
)
from support.gguf_files import write_gguf_file
from support.peak_memory import in_child


def make_plan(
    header: Header, machine: Machine, *, gpus=(), tuned=None, kernel_types: frozenset[str] = frozenset(), **options
) -> Plan:
    return make_plan_of(header, machine, LoadOptions(**options), gpus=gpus, tuned=tuned, kernel_types=kernel_types)


GB = 1_000_000_000
MACHINE = Machine("", "", 4, 4, 8, 4, (), 64 * GB, 32 * GB, "")
Q8_0 = 8


def machine(free: float) -> Machine:
    return replace(MACHINE, memory_available=round(free * GB))


def just_enough(needed: int) -> Machine:
    return replace(MACHINE, memory_available=needed + HEADROOM_BYTES)


def gpu(free: float) -> Gpu:
    return Gpu("CUDA0", "Test GPU", round(free * GB), 24 * GB)


@pytest.fixture(scope="module")
def seallm_7b(tmp_path_factory: pytest.TempPathFactory) -> Header:
    """The header of a file with the shape of SeaLLMs-v3-7B-Chat in Q8_0 (its weights are a hole), small vocabulary."""
    shape = replace(cards()["seallms-v3-7b-chat"].shape, n_vocab=32_000, tied=True)
    change = {"qwen2.context_length": ("uint32", 131_072)}
    path = tmp_path_factory.mktemp("models") / "SeaLLMs-v3-7B-Chat-Q8_0.gguf"
    return read_header(write_gguf_file(path, shape=shape, kind=Q8_0, change=change))


@dataclass(frozen=True)
class Tuned:
    threads: int = 3
    n_batch: int = 64
    repack: bool = False
    gpu_layers: int | None = None


def test_plenty_of_memory_gives_the_usual_context_and_the_performance_cores(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE)

    assert (plan.n_ctx, plan.n_batch, plan.threads, plan.gpu_layers, plan.gpu_bytes) == (8192, 128, 4, 0, 0)
    assert (plan.n_sequences, plan.n_outputs, plan.repack, plan.flash_attention) == (64, 32, True, True)
    assert (plan.cache_type_k, plan.cache_type_v) == ("f16", "f16")
    assert plan.weights_bytes == seallm_7b.tensor_bytes
    assert plan.kv_bytes == 8192 * 56 * 1024
    assert plan.total_bytes == plan.main_bytes == plan.weights_bytes + plan.kv_bytes + plan.compute_bytes
    assert plan.warnings == ()
    assert plan.reasons == (
        "context 8,192: fits in the free memory",
        "KV cache in f16: the usual type",
        "threads 4: one for each of 4 performance cores",
        "batch 128: usual on a CPU",
        "flash attention on: usual on a CPU",
        "all layers on the CPU",
        "weights repacked: the fastest kernels want it",
        "prefix cache 1.07 GB: for evicted conversations, at most an eighth of the memory left",
    )


def test_plan_and_catalogue_agree_on_what_must_be_free(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, context=2048)
    assert plan.main_bytes + HEADROOM_BYTES == seallm_7b.tensor_bytes + working_bytes(seallm_7b.dimensions, 2048)


def test_context_is_never_more_than_the_model_was_trained_for(write_gguf: Callable[..., Path]) -> None:
    assert make_plan(read_header(write_gguf()), MACHINE).n_ctx == 4096


def test_less_memory_halves_the_context(seallm_7b: Header) -> None:
    full = make_plan(seallm_7b, MACHINE)
    plan = make_plan(seallm_7b, just_enough(full.total_bytes - 1))

    assert plan.n_ctx == 4096
    needed = free = f"{(full.total_bytes + HEADROOM_BYTES) / GB:.2f}"
    assert plan.reasons[0] == f"context 4,096: 8,192 would need {needed} GB of {free} GB free"


def test_the_smallest_context_is_2048(seallm_7b: Header) -> None:
    needed = make_plan(seallm_7b, MACHINE, context=2048).total_bytes

    assert make_plan(seallm_7b, just_enough(needed)).n_ctx == 2048
    with pytest.raises(NotEnoughMemory):
        make_plan(seallm_7b, just_enough(needed - 1))


def test_refusal_names_a_smaller_type_of_the_same_model(seallm_7b: Header) -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        make_plan(seallm_7b, machine(6))

    assert str(caught.value) == (
        "SeaLLMs-v3-7B-Chat-Q8_0 with a context of 2,048 needs 7.34 GB of memory but 6.00 GB is free\n"
        "  Q5_K_M of the same model fits: seallm_edge.convert.convert('FOLDER', type='Q5_K_M'); "
        "force=True loads it all the same"
    )
    assert caught.value.hint.worded(command_line_words) == (
        "Q5_K_M of the same model fits: seallm convert FOLDER --type Q5_K_M; --force loads it all the same"
    )
    assert caught.value.free == 6 * GB


@pytest.mark.parametrize(
    ("free", "choice"),
    [
        (4, "seallms-v3-1.5b-chat (Q8_0) fits in the 4.00 GB"),
        (1.5, "seallms-v3-1.5b-chat (Q5_K_M) fits in the 1.50 GB"),
        (0.5, "smollm2-135m-instruct (Q4_1) fits in the 0.50 GB"),
        (0.1, "no model of the catalogue fits; close other programs"),
    ],
)
def test_refusal_names_a_smaller_model(seallm_7b: Header, free: float, choice: str) -> None:
    with pytest.raises(NotEnoughMemory) as caught:
        make_plan(seallm_7b, machine(free))
    assert str(caught.value.hint) == f"{choice}; force=True loads it all the same"


def test_refusal_of_an_asked_context_names_one_that_fits(seallm_7b: Header) -> None:
    usual = make_plan(seallm_7b, MACHINE)
    with pytest.raises(NotEnoughMemory) as caught:
        make_plan(seallm_7b, just_enough(usual.total_bytes + 1000), context=60_000)
    assert str(caught.value.hint) == "context=8192 fits; force=True loads it all the same"


def test_force_plans_what_does_not_fit_and_warns(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, machine(1), force=True)

    assert plan.n_ctx == 2048
    assert plan.reasons[0] == "context 2,048: the smallest, and more than fits"
    needed = f"{(plan.main_bytes + HEADROOM_BYTES) / GB:.2f}"
    assert plan.warnings == (f"it needs {needed} GB of memory but 1.00 GB is free: it may be very slow, or be killed",)
    assert make_plan(seallm_7b, machine(1), context=9_000, force=True).n_ctx == 9_000


def test_asked_values_are_taken(seallm_7b: Header) -> None:
    asked = {"context": 100, "threads": 7, "gpu_layers": 3, "flash_attention": False, "repack": False, "n_batch": 32}
    plan = make_plan(seallm_7b, MACHINE, gpus=[gpu(20)], prefix_cache=5 * GB, cache_type_k="f32", **asked)

    assert (plan.n_ctx, plan.n_batch, plan.threads, plan.gpu_layers) == (100, 32, 7, 3)
    assert (plan.flash_attention, plan.repack, plan.prefix_cache_bytes) == (False, False, 5 * GB)
    assert plan.reasons == (
        "context 100: as asked",
        "KV cache in f32 keys and f16 values: as asked",
        "threads 7: as asked",
        "batch 32: as asked",
        "flash attention off: as asked",
        "3 of 29 layers on the GPU: as asked",
        "prefix cache 5.00 GB: as asked",
    )
    assert plan.warnings == ()


def test_what_was_measured_is_taken_where_nothing_is_asked(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, tuned=Tuned())
    assert (plan.threads, plan.n_batch, plan.repack) == (3, 64, False)
    assert plan.reasons[2:4] == ("threads 3: as measured by tuning", "batch 64: as measured by tuning")
    assert plan.reasons[6] == "weights not repacked: as measured by tuning"

    plan = make_plan(seallm_7b, MACHINE, tuned=Tuned(), threads=2, n_batch=16, repack=True)
    assert (plan.threads, plan.n_batch, plan.repack) == (2, 16, True)
    assert (plan.reasons[2], plan.reasons[3], plan.reasons[6]) == (
        "threads 2: as asked",
        "batch 16: as asked",
        "weights repacked: as asked",
    )


def test_a_batch_is_no_larger_than_the_context(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, context=100, n_batch=512)
    assert (plan.n_batch, plan.reasons[3]) == (100, "batch 100: no more than the context")


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (
            replace(MACHINE, cores_usable_performance=2),
            "threads 2: one for each of 2 performance cores that this process may use",
        ),
        (
            replace(MACHINE, cores_usable=3, cores_usable_performance=0),
            "threads 3: one for each of 3 cores that this process may use",
        ),
        (replace(MACHINE, cores_efficiency=0, cores_usable=4), "threads 4: one for each of 4 cores"),
        (
            replace(MACHINE, cores_efficiency=0, cores_usable=1, cores_usable_performance=1),
            "threads 1: one for the one core that this process may use",
        ),
    ],
)
def test_threads_come_with_their_reason(seallm_7b: Header, here: Machine, reason: str) -> None:
    assert make_plan(seallm_7b, here).reasons[2] == reason


def test_more_threads_than_cores_bring_a_warning(seallm_7b: Header) -> None:
    assert make_plan(seallm_7b, MACHINE, threads=8).warnings == ()
    assert make_plan(seallm_7b, MACHINE, threads=9).warnings == ("9 threads share 8 usable cores: fewer are faster",)


@pytest.mark.parametrize(
    ("keys", "values", "bytes_per_token"),
    [  # 28 layers of 4 heads of 128 keys and as many values; blocks of 32
        ("f32", "f16", 28 * 512 * (4 + 2)),
        ("bf16", "f16", 28 * 512 * (2 + 2)),
        ("q8_0", "q8_0", 28 * 16 * (34 + 34)),
        ("Q5_1", "q5_0", 28 * 16 * (24 + 22)),
        ("q4_1", "q4_0", 28 * 16 * (20 + 18)),
        (None, "iq4_nl", 28 * 16 * (64 + 18)),
    ],
)
def test_kv_memory_is_that_of_the_types(seallm_7b: Header, keys: str | None, values: str, bytes_per_token: int) -> None:
    plan = make_plan(seallm_7b, MACHINE, cache_type_k=keys, cache_type_v=values)

    assert (plan.cache_type_k, plan.cache_type_v) == ((keys or "f16").lower(), values)
    assert plan.kv_bytes == 8192 * bytes_per_token
    assert plan.reasons[1].endswith(": as asked")


def test_keys_and_values_may_be_of_different_widths(seallm_7b: Header) -> None:
    narrow = replace(seallm_7b, metadata={**seallm_7b.metadata, "qwen2.attention.value_length": 64})
    plan = make_plan(narrow, MACHINE, cache_type_k="f32", cache_type_v="q8_0")
    assert plan.kv_bytes == 8192 * 28 * 4 * (128 * 4 + 64 // 32 * 34)


def test_kv_memory_is_whole_blocks_of_256_cells(seallm_7b: Header) -> None:
    assert make_plan(seallm_7b, MACHINE, context=257).kv_bytes == 512 * 56 * 1024


def test_keys_of_few_bits_of_a_qwen2_model_bring_a_warning_and_values_do_not(seallm_7b: Header) -> None:
    warned = "rounding harms the answers; q8_0 harms far less, and so do quantized values (cache_type_v)"
    assert make_plan(seallm_7b, MACHINE, cache_type_k="q4_0").warnings == (
        f"keys in q4_0: the keys of Qwen2 models have a few very large numbers, and {warned}",
    )
    assert make_plan(seallm_7b, MACHINE, cache_type_k="bf16", cache_type_v="q4_0").warnings == ()
    assert make_plan(seallm_7b, MACHINE, cache_type_k="q8_0", cache_type_v="q8_0").warnings == ()
    llama = replace(seallm_7b, metadata=_as_llama(seallm_7b))
    assert make_plan(llama, MACHINE, cache_type_k="q4_0").warnings == ()


def _as_llama(header: Header) -> dict:
    renamed = {key.replace("qwen2.", "llama."): value for key, value in header.metadata.items()}
    return renamed | {"general.architecture": "llama"}


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"context": 0}, "context is 0", "give a whole number from 1 to 131,072"),
        ({"context": -5}, "context is -5", "give a whole number from 1 to 131,072"),
        ({"context": 131_073}, "context is 131073", "give a whole number from 1 to 131,072"),
        ({"context": "many"}, "context is 'many'", "give a whole number from 1 to 131,072"),
        ({"threads": True}, "threads is True", "give a whole number from 1 to 512"),
        ({"threads": 0}, "threads is 0", "give a whole number from 1 to 512"),
        ({"threads": 513}, "threads is 513", "give a whole number from 1 to 512"),
        ({"gpu_layers": -1}, "gpu_layers is -1", "give a whole number from 0 to 999"),
        ({"gpu_layers": "all"}, "gpu_layers is 'all'", "give a whole number from 0 to 999"),
        ({"gpu_layers": 3}, "gpu_layers is 3, but llama.cpp sees no GPU here", "leave out gpu_layers=…"),
        ({"n_batch": 15}, "n_batch is 15", "give a whole number from 16 to 4,096"),
        ({"n_batch": 4_097}, "n_batch is 4097", "give a whole number from 16 to 4,096"),
        ({"n_batch": 64.0}, "n_batch is 64.0", "give a whole number from 16 to 4,096"),
        ({"prefix_cache": -1}, "prefix_cache is -1", "give a whole number from 0 to 1,099,511,627,776"),
        ({"prefix_cache": "1G"}, "prefix_cache is '1G'", "give a whole number from 0 to 1,099,511,627,776"),
        (
            {"flash_attention": "on"},
            "flash_attention is 'on'",
            "give True or False, or None for what suits the machine",
        ),
        ({"flash_attention": 1}, "flash_attention is 1", "give True or False, or None for what suits the machine"),
        ({"repack": 0}, "repack is 0", "give True or False, or None for what suits the machine"),
        (
            {"cache_type_k": "q8"},
            "cache_type_k is 'q8'; did you mean 'q8_0'?",
            "one of: f32 f16 bf16 q8_0 q5_1 q5_0 q4_1 q4_0 iq4_nl",
        ),
        ({"cache_type_v": 8}, "cache_type_v is 8", "one of: f32 f16 bf16 q8_0 q5_1 q5_0 q4_1 q4_0 iq4_nl"),
        (
            {"cache_type_v": "q8_0", "flash_attention": False},
            "cache_type_v is q8_0, which needs flash attention, but flash_attention is False",
            "leave out one of the two",
        ),
    ],
)
def test_impossible_options_are_refused(seallm_7b: Header, options: dict, message: str, hint: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        make_plan(seallm_7b, MACHINE, **options)
    assert (caught.value.message, str(caught.value.hint)) == (message, hint)


@pytest.mark.parametrize("name", ["cache_type_k", "cache_type_v"])
def test_types_whose_blocks_do_not_divide_a_head_are_refused(write_gguf: Callable[..., Path], name: str) -> None:
    header = read_header(write_gguf())  # 4 heads of 16

    with pytest.raises(InvalidOption) as caught:
        make_plan(header, MACHINE, **{name: "q8_0"})
    problem = "is q8_0, whose blocks of 32 do not divide this model's heads of 16"
    assert (caught.value.message, str(caught.value.hint)) == (f"{name} {problem}", "give f16")
    assert make_plan(header, MACHINE, **{name: "bf16"})


def test_flash_attention_can_be_off_with_quantized_keys(seallm_7b: Header) -> None:
    assert make_plan(seallm_7b, MACHINE, cache_type_k="q8_0", flash_attention=False).flash_attention is False


def test_on_a_gpu_llama_cpp_decides_about_flash_attention_unless_values_need_it(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, gpus=[gpu(20)])
    assert (plan.flash_attention, plan.reasons[4]) == (None, "flash attention as llama.cpp finds it fit for the GPU")

    plan = make_plan(seallm_7b, MACHINE, gpus=[gpu(20)], cache_type_v="q8_0")
    assert (plan.flash_attention, plan.reasons[4]) == (True, "flash attention on: quantized values need it")


@pytest.mark.parametrize(("left", "cache"), [(0, 0), (0.8, 0.1), (4, 0.5), (20, (1 << 30) / GB)])
def test_prefix_cache_is_an_eighth_of_what_stays_free_and_1_gib_at_most(
    seallm_7b: Header, left: float, cache: float
) -> None:
    needed = make_plan(seallm_7b, MACHINE).total_bytes
    plan = make_plan(seallm_7b, just_enough(needed + round(left * GB)), context=8192)
    assert plan.prefix_cache_bytes == round(cache * GB)


def test_prefix_cache_can_be_off(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, prefix_cache=0)
    assert (plan.prefix_cache_bytes, plan.reasons[-1], plan.warnings) == (0, "prefix cache 0.00 MB: as asked", ())


def test_asked_prefix_cache_is_a_quarter_of_free_memory_at_most_and_never_more_than_stays(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, prefix_cache=10 * GB)
    assert plan.prefix_cache_bytes == 8 * GB
    assert plan.warnings == (
        "prefix cache 8.00 GB, not 10.00 GB: it takes a quarter of the free memory at most, and no more "
        "than stays free",
    )
    needed = make_plan(seallm_7b, MACHINE).total_bytes
    assert make_plan(seallm_7b, just_enough(needed + GB), prefix_cache=2 * GB).prefix_cache_bytes == GB


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


def test_a_gpu_that_was_measured_slower_than_the_cpu_is_not_used(seallm_7b: Header) -> None:
    slow = replace(gpu(20), name="Vulkan0", description="llvmpipe", speedup=1 / 300)
    plan = make_plan(seallm_7b, MACHINE, gpus=[slow])
    assert (plan.gpu_layers, plan.gpus, plan.gpu_bytes) == (0, (), 0)
    assert "all layers on the CPU: the CPU is 300 times as fast as llvmpipe" in plan.reasons

    asked = make_plan(seallm_7b, MACHINE, gpus=[slow], gpu_layers=5)
    assert (asked.gpu_layers, asked.gpus) == (5, ("Vulkan0",))


def test_only_the_gpus_that_are_faster_get_layers(seallm_7b: Header) -> None:
    fast = replace(gpu(20), speedup=4.25)
    broken = replace(gpu(20), name="Vulkan1", description="Old GPU", problem="its trial died of SIGSEGV")
    plan = make_plan(seallm_7b, MACHINE, gpus=[broken, fast])
    assert (plan.gpu_layers, plan.gpus) == (29, ("CUDA0",))
    assert "29 of 29 layers on the GPU: Test GPU is 4.2 times as fast as the CPU" in plan.reasons

    alone = make_plan(seallm_7b, MACHINE, gpus=[broken])
    assert "all layers on the CPU: Old GPU cannot run it (its trial died of SIGSEGV)" in alone.reasons


def test_a_gpu_that_shares_the_main_memory_is_used_where_it_was_measured_faster(seallm_7b: Header) -> None:
    shared = replace(gpu(20), is_integrated=True)
    unknown = make_plan(seallm_7b, MACHINE, gpus=[shared])
    assert unknown.gpu_layers == 0
    assert "all layers on the CPU: Test GPU shares the main memory" in unknown.reasons

    plan = make_plan(seallm_7b, MACHINE, gpus=[replace(shared, speedup=1.5)])
    assert (plan.gpu_layers, plan.gpu_bytes, plan.main_bytes) == (29, 0, plan.total_bytes)
    even = make_plan(seallm_7b, MACHINE, gpus=[replace(shared, speedup=1.05)])
    assert even.gpu_layers == 0


def test_graphics_in_the_processor_are_left_out_beside_a_gpu_with_memory_of_its_own(seallm_7b: Header) -> None:
    shared = replace(gpu(20), name="Vulkan1", description="Graphics", is_integrated=True, speedup=1.5)
    plan = make_plan(seallm_7b, MACHINE, gpus=[shared, gpu(20)])
    assert (plan.gpu_layers, plan.gpus) == (29, ("CUDA0",))
    assert plan.gpu_bytes > seallm_7b.tensor_bytes
    assert "29 of 29 layers on the GPU: Test GPU has memory of its own" in plan.reasons


def test_some_layers_on_a_gpu_take_a_buffer_there_too(seallm_7b: Header) -> None:
    none, some, more, all_ = (make_plan(seallm_7b, MACHINE, gpus=[gpu(20)], gpu_layers=n) for n in (0, 1, 2, 29))
    sizes = {tensor.name: tensor.n_bytes for tensor in seallm_7b.tensors}
    weights = sum(size for name, size in sizes.items() if name.startswith("blk.")) // 28
    layer = more.gpu_bytes - some.gpu_bytes
    step = step_bytes(seallm_7b.dimensions, some.n_ctx, some.n_batch)
    assert all_.gpu_bytes == some.gpu_bytes + 28 * layer - weights  # all layers need no copies of one
    assert some.gpu_bytes == sizes["token_embd.weight"] + step + weights
    assert some.main_bytes > none.main_bytes - sizes["token_embd.weight"]


def test_a_gpu_that_just_holds_all_layers_needs_no_room_for_copies(seallm_7b: Header) -> None:
    whole = make_plan(seallm_7b, MACHINE, gpus=[gpu(20)])
    just = replace(gpu(20), memory_free=whole.gpu_bytes + GPU_MARGIN_BYTES)
    assert make_plan(seallm_7b, MACHINE, gpus=[just]).gpu_layers == 29
    short = replace(just, memory_free=just.memory_free - 50_000_000)
    plan = make_plan(seallm_7b, MACHINE, gpus=[short])
    assert 20 < plan.gpu_layers < 29
    assert plan.gpu_bytes + GPU_MARGIN_BYTES <= short.memory_free


def test_flash_attention_is_on_where_every_gpu_has_code_for_it(seallm_7b: Header) -> None:
    able = replace(gpu(20), has_flash_attention=True)
    for n_layers in (3, 29):
        plan = make_plan(seallm_7b, MACHINE, gpus=[able], gpu_layers=n_layers)
        assert plan.flash_attention is True
        assert "flash attention on: the GPU has code for it" in plan.reasons
    assert make_plan(seallm_7b, MACHINE, gpus=[able, gpu(20)], gpu_layers=29).flash_attention is None


def test_the_layers_that_tuning_found_are_used(seallm_7b: Header) -> None:
    plan = make_plan(seallm_7b, MACHINE, gpus=[gpu(20)], tuned=Tuned(gpu_layers=0))
    assert plan.gpu_layers == 0
    assert "all layers on the CPU: as measured by tuning" in plan.reasons
    some = make_plan(seallm_7b, MACHINE, gpus=[replace(gpu(20), speedup=0.9)], tuned=Tuned(gpu_layers=14))
    assert (some.gpu_layers, some.gpus) == (14, ("CUDA0",))
    assert "14 of 29 layers on the GPU: as measured by tuning" in some.reasons
    gone = make_plan(seallm_7b, MACHINE, gpus=[replace(gpu(20), problem="it hangs")], tuned=Tuned(gpu_layers=14))
    assert gone.gpu_layers == 0


def test_tiny_gpu_and_no_gpu_layers_leave_all_on_the_cpu(seallm_7b: Header) -> None:
    assert make_plan(seallm_7b, MACHINE, gpus=[gpu(0.5)]).gpu_layers == 0
    assert make_plan(seallm_7b, MACHINE, gpus=[gpu(20)], gpu_layers=0).gpu_layers == 0


VOCABULARY_49K = Dimensions(30, 576, 9, 3, 1_536, 49_152, True, False)
VOCABULARY_152K = Dimensions(28, 1_536, 12, 2, 8_960, 151_936, True, True)


@pytest.mark.parametrize(
    ("shape", "n_batch", "n_sequences", "mib"),
    [  # what llama.cpp reports as its CPU compute buffer, with a context of 8,192
        (VOCABULARY_49K, 64, 64, 12.28),
        (VOCABULARY_49K, 128, 64, 12.42),
        (VOCABULARY_49K, 128, 32, 6.70),
        (VOCABULARY_49K, 256, 64, 13.41),
        (VOCABULARY_49K, 512, 64, 21.51),
        (VOCABULARY_152K, 64, 64, 37.84),
        (VOCABULARY_152K, 128, 64, 38.22),
        (VOCABULARY_152K, 128, 32, 19.48),
        (VOCABULARY_152K, 256, 64, 38.97),
        (VOCABULARY_152K, 512, 64, 72.51),
    ],
)
def test_step_buffer_is_that_of_llama_cpp(shape: Dimensions, n_batch: int, n_sequences: int, mib: float) -> None:
    assert step_bytes(shape, 8192, n_batch, n_sequences) == pytest.approx(mib * 2**20, abs=1_000_000)


@pytest.mark.parametrize(("shape", "mib"), [(VOCABULARY_49K, 41.60), (VOCABULARY_152K, 56.00)])
def test_step_buffer_without_flash_attention_is_that_of_llama_cpp(shape: Dimensions, mib: float) -> None:
    assert plain_attention_bytes(shape, 8192, 128) == pytest.approx(mib * 2**20, abs=1_000_000)


def test_without_flash_attention_a_long_context_takes_larger_buffers(seallm_7b: Header) -> None:
    on, off = (make_plan(seallm_7b, MACHINE, flash_attention=state).compute_bytes for state in (True, False))
    assert off - on > 8192 * 128 * 4 * 20  # scores of 28 heads, beside what is reserved anyway


def test_estimate_is_what_a_process_takes_with_the_demo_model(demo_file: Path) -> None:
    for found in (in_child(str(demo_file), n_ctx, 200) for n_ctx in (512, 8192)):
        allowed = max(0.05 * found["taken"], 64_000_000)
        assert found["estimate"] == pytest.approx(found["taken"], abs=allowed)


@pytest.mark.parametrize("type_name", KV_TYPES)
def test_every_type_of_the_kv_memory_runs(demo_file: Path, type_name: str) -> None:
    with SeaLLM(demo_file, context=256, cache_type_k=type_name, cache_type_v=type_name) as llm:
        assert llm.complete("The capital of France is", max_tokens=4, temperature=0).text


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


def test_batches_round_alike_where_all_they_share_has_kernels_of_our_own(seallm_7b: Header) -> None:
    types = frozenset({"Q8_0"})
    assert make_plan(seallm_7b, MACHINE, kernel_types=types).is_batch_invariant


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_types": frozenset({"Q4_K"})}, {"cache_type_k": "q8_0"}, {"flash_attention": False}, {"repack": True},
        {"gpus": [gpu(8)], "gpu_layers": 3},
    ],
)  # fmt: skip
def test_batches_round_in_their_own_ways_where_llama_cpp_computes(seallm_7b: Header, options: dict) -> None:
    assert not make_plan(seallm_7b, MACHINE, **{"kernel_types": frozenset({"Q8_0"}), **options}).is_batch_invariant
    other = replace(seallm_7b, metadata={**seallm_7b.metadata, "general.architecture": "gemma3"})
    assert not make_plan(other, MACHINE, kernel_types=frozenset({"Q8_0"})).is_batch_invariant

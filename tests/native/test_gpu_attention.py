"""Flash attention on a device is asked for in shapes that ggml can describe: over others it would end the process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seallm_edge.gguf_file import Dimensions
from seallm_edge.machine import Gpu
from seallm_edge.native.backends import load_backends
from seallm_edge.native.gpu_attention import with_flash_attention

MODEL = Dimensions(30, 576, 9, 3, 1_536, 49_152, True, False)
CPU = Gpu("CPU", "a device that is on every computer, with code for it", 1 << 30, 1 << 30)


def has_it(model: Dimensions, keys: str = "f16", values: str = "f16", device: Gpu = CPU) -> bool:
    load_backends()
    (found,) = with_flash_attention([device], model, keys, values)
    return found.has_flash_attention


def test_a_device_with_code_for_it_is_found() -> None:
    assert has_it(MODEL)
    assert has_it(MODEL, "q8_0", "q8_0")


def test_a_device_that_is_not_there_has_none() -> None:
    assert not has_it(MODEL, device=replace(CPU, name="Vulkan77"))


@pytest.mark.parametrize(
    ("changed", "types"),
    [
        ({"n_head": 9, "n_head_kv": 2}, ("f16", "f16")),
        ({"n_head_kv": 0}, ("f16", "f16")),
        ({"key_length": 80}, ("q8_0", "f16")),
        ({"value_length": 80}, ("f16", "q8_0")),
        ({"key_length": 0}, ("f16", "f16")),
        ({}, ("q8", "f16")),
    ],
)
def test_what_ggml_cannot_describe_is_not_asked(changed: dict[str, int], types: tuple[str, str]) -> None:
    assert not has_it(replace(MODEL, **changed), *types)

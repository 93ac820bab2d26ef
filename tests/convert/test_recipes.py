"""Sizes at full scale, compared with published files."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge.catalogue.cards import TYPES, cards, tensor_bytes
from seallm_edge.convert import plan_conversion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="files have no holes there"),
]

SIZES = {
    "7B": {"embd": 3584, "ff": 18944, "heads": 28, "kv_heads": 4, "layers": 28, "vocab": 152064, "tied": False},
    "1.5B": {"embd": 1536, "ff": 8960, "heads": 12, "kv_heads": 2, "layers": 28, "vocab": 151936, "tied": True},
}


# ref: sizes in GB of the files in huggingface.co/QuantFactory/SeaLLMs-v3-7B-Chat-GGUF and
# huggingface.co/mradermacher/SeaLLMs-v3-1.5B-Chat-GGUF
@pytest.mark.parametrize(
    ("size", "type_name", "gigabytes"),
    [
        ("7B", "Q4_0", 4.43),
        ("7B", "Q4_K_S", 4.46),
        ("7B", "Q4_K_M", 4.68),
        ("7B", "Q5_K_M", 5.44),
        ("7B", "Q6_K", 6.25),
        ("7B", "Q8_0", 8.10),
        ("7B", "F16", 15.24),
        ("1.5B", "Q4_K_M", 0.986),
    ],
)
def test_a_file_is_as_large_as_the_ones_that_others_made(
    size: str, type_name: str, gigabytes: float, hollow_checkpoint: Callable[..., Path]
) -> None:
    planned = plan_conversion(hollow_checkpoint("noise", **SIZES[size]), type_name)
    assert planned.file_size / 1e9 == pytest.approx(gigabytes, rel=0.005)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("type_name", [*TYPES, "IQ4_XS", "Q3_K_M", "Q2_K"])
def test_the_shape_of_a_card_gives_the_bytes_that_a_conversion_writes(
    size: str, type_name: str, hollow_checkpoint: Callable[..., Path]
) -> None:
    shape = cards()[f"seallms-v3-{size.lower()}"].shape
    planned = plan_conversion(hollow_checkpoint("noise", **SIZES[size]), type_name)
    assert tensor_bytes(shape, type_name) == planned.content.tensor_bytes

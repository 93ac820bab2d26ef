"""A trained checkpoint, converted, gives the replies of the file that it was made from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge.convert import convert
from seallm_edge.native.quantizer import requantize_file
from seallm_edge.quality.kld import kl_divergence
from support.readings import Reading, token_ids

F16 = 1


@pytest.fixture(scope="module")
def read(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Reading]:
    """Reads a file, always with the token ids of the checkpoint's own tokenizer."""
    ids = token_ids(convert(trained, tmp_path_factory.mktemp("vocabulary") / "q4.gguf", "Q4_0"))
    return lambda path: Reading(path, *ids)


@pytest.fixture(scope="module")
def original(demo_file: Path, read: Callable[[Path], Reading], tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """The GGUF that the checkpoint was made of, requantized to F16 by llama.cpp."""
    path = tmp_path_factory.mktemp("original") / "f16.gguf"
    requantize_file(demo_file, path, F16)
    return read(path)


def test_f16_has_the_originals_distributions_and_its_answer(
    trained: Path, original: Reading, read: Callable[[Path], Reading], tmp_path: Path
) -> None:
    ours = read(convert(trained, tmp_path / "f16.gguf", "F16"))
    assert kl_divergence(original.log_probabilities, ours.log_probabilities) < 1e-3
    assert ours.answer == original.answer


# Measured: 0.004 and 0.05 nats a token (docs/convert.md has the table); one wrong tensor costs several.
@pytest.mark.parametrize(("type_name", "most"), [("Q8_0", 0.02), ("Q4_K_M", 0.2)])
def test_quantized_it_still_answers_sensibly(
    type_name: str,
    most: float,
    trained: Path,
    original: Reading,
    read: Callable[[Path], Reading],
    tmp_path: Path,
) -> None:
    ours = read(convert(trained, tmp_path / "quantized.gguf", type_name))
    assert kl_divergence(original.log_probabilities, ours.log_probabilities) < most
    assert "Paris" in ours.text

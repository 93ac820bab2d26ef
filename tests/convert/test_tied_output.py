"""Output matrix of a tied checkpoint: kept where it differs from the embedding, left out where it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.convert import convert, plan_conversion
from seallm_edge.convert.mapping import tied_output
from seallm_edge.gguf_file import read_header
from support.checkpoints import Sizes, noise, write_safetensors

pytestmark = pytest.mark.slow


Checkpoints = Callable[..., Any]
Refusal = Callable[[Path], str]
DIFFERS = (
    "config.json ties lm_head.weight to model.embed_tokens.weight, but the checkpoint stores one that differs: "
    "kept as output.weight"
)
OF_A_HUB = (
    "config.json ties lm_head.weight to model.embed_tokens.weight, but the checkpoint stores one: kept as "
    "output.weight, not compared, since a hub's weights are read once"
)


@pytest.fixture
def with_head(checkpoint: Checkpoints) -> Callable[..., Any]:
    """Writes a tied checkpoint with the lm_head that `change` makes of the embedding's bytes."""

    def write(change: Callable[[bytes], bytes], rows: int = 288, dtype: str = "BF16", name: str = "tiny") -> Any:
        made = checkpoint(name)
        head = change(made.weights["model.embed_tokens.weight"])
        stored = {tensor: ("BF16", shape, made.weights[tensor]) for tensor, shape in Sizes().tensors()}
        write_safetensors(made.path / "model.safetensors", stored | {"lm_head.weight": (dtype, (rows, 256), head)})
        return made

    return write


def last_row_changed(embedding: bytes) -> bytes:
    return embedding[:-512] + embedding[:512]


def tensor_bytes(path: Path, name: str) -> bytes:
    tensor = next(t for t in read_header(path).tensors if t.name == name)
    return path.read_bytes()[tensor.offset : tensor.offset + tensor.n_bytes]


def names(path: Path) -> set[str]:
    return {tensor.name for tensor in read_header(path).tensors}


@pytest.mark.parametrize("chunk", [1 << 20, 1000])
def test_an_output_matrix_that_differs_in_its_last_row_is_kept(
    chunk: int, with_head: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tied_output, "_CHUNK_BYTES", chunk)
    made = with_head(last_row_changed)
    path = convert(made.path, tmp_path / "out.gguf", "BF16")
    embedding = made.weights["model.embed_tokens.weight"]
    assert tensor_bytes(path, "output.weight") == last_row_changed(embedding)
    assert tensor_bytes(path, "token_embd.weight") == embedding


@pytest.mark.parametrize("chunk", [1 << 20, 1000])
def test_an_output_matrix_of_the_embeddings_bytes_is_left_out(
    chunk: int, with_head: Checkpoints, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tied_output, "_CHUNK_BYTES", chunk)
    same = convert(with_head(lambda embedding: embedding, name="a").path, tmp_path / "out.gguf", "Q4_K_M")
    assert "output.weight" not in names(same)
    assert plan_conversion(tmp_path / "a").content.notes == ()


def test_it_is_stored_as_if_config_json_did_not_tie_it(with_head: Checkpoints, tmp_path: Path) -> None:
    made = with_head(last_row_changed)
    tied = convert(made.path, tmp_path / "tied.gguf", "Q4_K_M")
    made.edit("config.json", lambda config: config.update(tie_word_embeddings=False))
    assert tied.read_bytes() == convert(made.path, tmp_path / "untied.gguf", "Q4_K_M").read_bytes()


def test_the_plan_has_its_size_and_says_why(with_head: Checkpoints, tmp_path: Path) -> None:
    made = with_head(last_row_changed)
    plan = plan_conversion(made.path, "Q8_0")
    assert plan.content.notes == (DIFFERS,)
    assert plan.file_size == convert(made.path, tmp_path / "out.gguf", "Q8_0").stat().st_size


def test_numbers_of_another_type_are_another_matrix(with_head: Checkpoints, tmp_path: Path) -> None:
    made = with_head(lambda _: noise((288, 256), "F32", np.random.default_rng(1)), dtype="F32")
    assert plan_conversion(made.path).content.notes == (DIFFERS,)


def test_an_output_matrix_of_another_shape_is_named(with_head: Checkpoints, refusal: Refusal) -> None:
    made = with_head(lambda embedding: embedding[: 280 * 512], rows=280)
    problem = "lm_head.weight has the shape [280, 256] but config.json makes it [288, 256]"
    assert refusal(made.path) == f"model.safetensors: {problem}"


def test_reading_stops_at_the_first_difference(with_head: Checkpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    chunk_of = tied_output._chunk

    def counting(tensor: Any, start: int) -> bytearray:
        read.append(start)
        return chunk_of(tensor, start)

    monkeypatch.setattr(tied_output, "_chunk", counting)
    monkeypatch.setattr(tied_output, "_CHUNK_BYTES", 4096)
    plan_conversion(with_head(lambda embedding: embedding[:5000] + embedding[:512] + embedding[5512:]).path)
    assert read == [0, 0, 4096, 4096]


def test_one_on_a_hub_is_kept_without_a_comparison(hub: Any, with_head: Checkpoints, tmp_path: Path) -> None:
    hub.add_repository("SeaLLMs/tiny", with_head(lambda embedding: embedding).path)
    assert plan_conversion("hf:SeaLLMs/tiny").content.notes == (OF_A_HUB,)
    assert "output.weight" in names(convert("hf:SeaLLMs/tiny", tmp_path / "out.gguf", "Q8_0"))


def test_weights_beside_the_checkpoint_are_named_as_left_out(checkpoint: Checkpoints) -> None:
    made = checkpoint(shards=2)
    for name in ("adapter_model.safetensors", "consolidated.safetensors"):
        write_safetensors(made.path / name, {"x": ("F16", (2,), bytes(4))})
    assert plan_conversion(made.path).content.notes == (
        "left out, since model.safetensors.index.json is all of the checkpoint: "
        "adapter_model.safetensors, consolidated.safetensors",
    )


def test_the_command_says_so_before_and_in_a_dry_run(with_head: Checkpoints, tmp_path: Path, seallm: Any) -> None:
    source, out = with_head(last_row_changed).path, tmp_path / "out.gguf"
    assert seallm("convert", source, "-o", out, "--dry-run").stdout.decode().splitlines()[-1] == DIFFERS
    assert seallm("convert", source, "-o", out).stderr.decode() == f"{DIFFERS}\n"

"""`seallm quantize`, `split` and `merge`: whole files compared with llama.cpp's, round trips, hashes."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge import SeaLLM
from seallm_edge.catalogue.recipes import RECIPES
from seallm_edge.convert import convert, merge, quantize, split, verify
from seallm_edge.convert.choosing.choices import parse_override
from seallm_edge.convert.gguf_tasks import merge_task, quantize_task, split_task
from seallm_edge.convert.run import Options, Result, run
from seallm_edge.convert.tasks import Task, named_recipe, with_overrides
from seallm_edge.errors import ConversionError, InvalidOption, ModelFileError
from seallm_edge.gguf_file import read_header
from seallm_edge.native.quantizer import requantize_file

pytestmark = pytest.mark.slow


Checkpoints = Callable[..., Any]


@pytest.fixture
def plain(checkpoint: Checkpoints, tmp_path: Path) -> Path:
    """A checkpoint as a GGUF of BF16."""
    return convert(checkpoint(layers=3, vocab=2000).path, tmp_path / "plain.gguf", "BF16", verify="none")


def done(task: Task, **options: Any) -> Result:
    return run(task, Options(**options))[0][0]


def quantized(source: Path, out: Path, type_name: str, **options: Any) -> Path:
    return done(quantize_task(source, out, named_recipe(type_name), **options), verify="none").paths[0]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("type_name", ["Q8_0", "Q4_K_M", "Q3_K_L", "Q2_K", "IQ4_XS", "Q4_0", "F16", "F32"])
def test_a_quantized_file_is_the_one_that_llama_cpp_writes(type_name: str, plain: Path, tmp_path: Path) -> None:
    ours = quantized(plain, tmp_path / "ours.gguf", type_name)
    requantize_file(plain, tmp_path / "theirs.gguf", RECIPES[type_name].file_type, threads=2)
    assert sha256(ours) == sha256(tmp_path / "theirs.gguf")


def test_the_demo_model_too_whose_architecture_is_another(demo_file: Path, tmp_path: Path) -> None:
    ours = quantized(demo_file, tmp_path / "ours.gguf", "Q8_0", allow_requantize=True)
    requantize_file(demo_file, tmp_path / "theirs.gguf", RECIPES["Q8_0"].file_type, threads=2)
    assert sha256(ours) == sha256(tmp_path / "theirs.gguf")


def test_q8_0_may_be_quantized_again(plain: Path, tmp_path: Path) -> None:
    middle = quantized(plain, tmp_path / "middle.gguf", "Q8_0")
    ours = quantized(middle, tmp_path / "ours.gguf", "Q4_K_M")
    requantize_file(middle, tmp_path / "theirs.gguf", RECIPES["Q4_K_M"].file_type, threads=2)
    assert sha256(ours) == sha256(tmp_path / "theirs.gguf")


def test_what_has_lost_more_is_refused_unless_allowed(plain: Path, tmp_path: Path) -> None:
    middle = quantized(plain, tmp_path / "middle.gguf", "Q4_0")
    with pytest.raises(InvalidOption) as caught:
        quantize_task(middle, tmp_path / "out.gguf", named_recipe("Q8_0"))
    assert caught.value.message == ("token_embd.weight is Q6_K already, and would lose precision again")
    assert str(caught.value.hint) == "take an F16, BF16 or Q8_0 model; allow_requantize=True does it all the same"
    assert quantized(middle, tmp_path / "out.gguf", "Q8_0", allow_requantize=True).exists()


def test_an_override_changes_the_tensors_it_names(plain: Path, tmp_path: Path) -> None:
    recipe = with_overrides(named_recipe("Q4_K_M"), [parse_override(r"blk\.0\.attn_v=Q8_0")])
    out = done(quantize_task(plain, tmp_path / "out.gguf", recipe), verify="none").paths[0]
    usual = quantized(plain, tmp_path / "usual.gguf", "Q4_K_M")
    kinds, before = ({t.name: t.type_name for t in read_header(path).tensors} for path in (out, usual))
    assert {name: kind for name, kind in kinds.items() if before[name] != kind} == {"blk.0.attn_v.weight": "Q8_0"}


def test_the_source_is_not_overwritten(plain: Path) -> None:
    before = sha256(plain)
    with pytest.raises(InvalidOption, match="is the source itself"):
        quantize_task(plain, plain, named_recipe("Q8_0"))
    assert sha256(plain) == before


def test_split_parts_hold_no_more_than_asked_and_merge_to_the_same_file(plain: Path, tmp_path: Path) -> None:
    first = done(split_task(plain, 1_500_000)).paths[0]
    header = read_header(first)
    assert first.name == "plain-00001-of-00004.gguf"
    assert [path.name for path in header.parts] == [f"plain-{n:05}-of-00004.gguf" for n in range(1, 5)]
    sizes = [sum(t.n_bytes for t in header.tensors if t.part == part) for part in range(4)]
    assert max(sizes) <= 1_500_000
    merged = done(merge_task(first, tmp_path / "merged.gguf")).paths[0]
    assert sha256(merged) == sha256(plain)


def test_split_parts_have_the_bytes_that_llama_cpp_loads(demo_file: Path, tmp_path: Path) -> None:
    source = tmp_path / "demo.gguf"
    source.write_bytes(demo_file.read_bytes())
    first = done(split_task(source, 40_000_000)).paths[0]
    with SeaLLM(first, context=256) as split, SeaLLM(source, context=256) as whole:
        texts = [model.complete("Rice is", temperature=0, max_tokens=12).text for model in (split, whole)]
    assert texts[0] == texts[1]


def test_parts_can_be_checked_with_sha256sum(plain: Path) -> None:
    first = done(split_task(plain, 2_000_000)).paths[0]
    listed = dict(reversed(line.split("  ")) for line in Path(f"{first}.sha256").read_text().splitlines())
    assert listed == {path.name: sha256(path) for path in (*read_header(first).parts, plain)}


def test_a_part_that_was_damaged_on_the_way_is_named(plain: Path, tmp_path: Path) -> None:
    first = done(split_task(plain, 2_000_000)).paths[0]
    second = read_header(first).parts[1]
    raw = bytearray(second.read_bytes())
    raw[-100] ^= 1
    second.write_bytes(raw)
    with pytest.raises(ModelFileError) as caught:
        merge_task(first, tmp_path / "merged.gguf")
    assert caught.value.message == f"{second.name}: is not the file that {first.name}.sha256 lists"


def test_a_split_model_is_quantized_as_one(plain: Path, tmp_path: Path) -> None:
    first = done(split_task(plain, 2_000_000)).paths[0]
    assert sha256(quantized(first, tmp_path / "a.gguf", "Q4_K_M")) == sha256(
        quantized(plain, tmp_path / "b.gguf", "Q4_K_M")
    )


def test_a_conversion_can_write_parts_at_once(checkpoint: Checkpoints, tmp_path: Path, seallm: Any) -> None:
    source = checkpoint(vocab=6000).path
    finished = seallm("convert", source, "-o", tmp_path / "out.gguf", "-t", "Q8_0", "--split", "2M")
    assert finished.stdout.decode().splitlines()[0] == str(tmp_path / "out-00001-of-00002.gguf"), finished.stderr
    whole = convert(source, tmp_path / "whole.gguf", "Q8_0")
    merged = done(merge_task(tmp_path / "out-00001-of-00002.gguf")).paths[0]
    assert sha256(merged) == sha256(whole)


def test_in_another_folder_the_parts_keep_the_models_name(plain: Path, tmp_path: Path) -> None:
    folder = tmp_path / "stick"
    folder.mkdir()
    first = done(split_task(plain, 2_000_000, folder)).paths[0]
    assert first == folder / "plain-00001-of-00003.gguf"
    assert done(merge_task(first, tmp_path / "stick")).paths[0] == folder / "plain.gguf"


def test_a_tensor_larger_than_a_part_is_named(plain: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        split_task(plain, 1_000_000)
    assert caught.value.message == "token_embd.weight alone takes 1.02 MB, more than a file of 1.00 MB holds"


@pytest.mark.parametrize("size", ["", "2", "2T", "-1G", "1e9", "0.5M"])
def test_what_is_no_size(size: str, plain: Path, seallm: Any) -> None:
    finished = seallm("split", plain, "--size", size)
    assert (finished.returncode, finished.stderr.decode().splitlines()[0]) == (1, f"{size!r} is no size")


def test_one_file_is_not_merged(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"^plain\.gguf is one file already"):
        merge_task(plain, tmp_path / "out.gguf")


def test_a_missing_part_is_named(plain: Path, tmp_path: Path) -> None:
    first = done(split_task(plain, 2_000_000)).paths[0]
    second = read_header(first).parts[1]
    second.unlink()
    with pytest.raises(ModelFileError, match=second.name):
        merge_task(first, tmp_path / "out.gguf")


@pytest.mark.skipif(sys.platform == "win32", reason="root and rights")
def test_names_given_late_are_found_after_a_kill(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between two renames, the same command gives the rest their names, and nothing is written again."""
    renamed: list[Path] = []
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if len(renamed) == 2 and path.suffix == ".partial" and ".gguf" in path.name:
            raise KeyboardInterrupt
        renamed.append(path)
        return real(path, target)

    task = split_task(plain, 2_000_000)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            done(task)
    assert not (tmp_path / "plain-00001-of-00003.gguf").exists()
    first = done(split_task(plain, 2_000_000)).paths[0]
    assert sha256(done(merge_task(first, tmp_path / "merged.gguf")).paths[0]) == sha256(plain)
    assert not [path for path in tmp_path.iterdir() if path.suffix in (".partial", ".journal")]


def test_an_importance_of_another_model_is_refused(plain: Path, tmp_path: Path) -> None:
    imatrix = tmp_path / "other.dat"
    name, values = b"blk.0.nothing.weight", np.ones(4, np.float32)
    head = np.array([1, len(name)], "<i4").tobytes()
    imatrix.write_bytes(head + name + np.array([1, 4], "<i4").tobytes() + values.tobytes())
    with pytest.raises(ConversionError, match=r"^other\.dat: is of another model"):
        quantize_task(plain, tmp_path / "out.gguf", named_recipe("Q4_0"), imatrix)


def test_programs_do_what_the_commands_do(plain: Path, tmp_path: Path) -> None:
    made = quantize(plain, tmp_path / "out.gguf", "Q8_0")
    parts = split(made, "1M", tmp_path / "parts.gguf")
    assert merge(parts[0], tmp_path / "whole.gguf").read_bytes() == made.read_bytes()
    assert verify(parts[0]).warnings == ()

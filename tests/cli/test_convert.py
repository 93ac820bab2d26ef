"""`seallm convert` as a process of its own."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert_many

Checkpoints = Callable[..., Any]


def test_a_conversion_ends_with_path_size_time_and_the_next_command(
    checkpoint: Checkpoints, home: Path, seallm: Any
) -> None:
    finished = seallm("convert", checkpoint().path, "--type", "q8_0")
    lines = finished.stdout.decode().splitlines()
    assert finished.returncode == 0, finished.stderr
    assert lines[0] == str(home / "models" / "tiny-Q8_0.gguf")
    assert re.fullmatch(r"\d\.\d\d MB in \d+\.\d s", lines[1])
    assert lines[2:] == ["chat with it: seallm chat tiny-Q8_0"]


def test_a_path_with_spaces_is_quoted_for_the_shell(checkpoint: Checkpoints, tmp_path: Path, seallm: Any) -> None:
    finished = seallm("convert", checkpoint().path, "-o", tmp_path / "my model.gguf")
    assert finished.stdout.decode().splitlines()[-1] == f"chat with it: seallm chat '{tmp_path}/my model.gguf'"


@pytest.mark.skipif(sys.platform == "win32", reason="files have no holes there")
def test_a_dry_run_shows_the_plan_of_a_7b_without_reading_its_15_gb(
    hollow_checkpoint: Callable[..., Path], home: Path, seallm: Any
) -> None:
    shape = {"embd": 3584, "ff": 18944, "heads": 28, "kv_heads": 4, "layers": 28, "vocab": 152064, "tied": False}
    finished = seallm("convert", hollow_checkpoint("SeaLLMs-v3-7B-Chat", **shape), "--dry-run")
    assert finished.stdout.decode() == (
        "SeaLLMs-v3-7B-Chat as Q4_K_M\n"
        "Q4_K       169 tensors       3.43 GB\n"
        "Q6_K        29 tensors       1.25 GB\n"
        "F32        141 tensors       1.33 MB\n"
        "339 tensors, 7,615,616,512 parameters, 4.91 bits per weight\n"
        f"4.68 GB would be written to {home / 'models' / 'SeaLLMs-v3-7B-Chat-Q4_K_M.gguf'}\n"
        "memory to run it, by tokens of context: 5.15 GB at 4,096, 5.39 GB at 8,192, 6.80 GB at 32,768\n"
    )
    assert not (home / "models").exists()


def test_an_error_is_a_sentence_and_its_hint_with_exit_code_1(tmp_path: Path, seallm: Any) -> None:
    finished = seallm("convert", tmp_path / "nowhere")
    assert (finished.returncode, finished.stdout) == (1, b"")
    assert finished.stderr.decode() == (
        "nowhere: there is no such folder\n"
        "  give the folder of a checkpoint: config.json, tokenizer.json and *.safetensors\n"
    )


def test_an_existing_output_is_kept_unless_forced(checkpoint: Checkpoints, tmp_path: Path, seallm: Any) -> None:
    source, out = checkpoint().path, tmp_path / "out.gguf"
    assert seallm("convert", source, "-o", out).returncode == 0
    assert seallm("convert", source, "-o", out).returncode == 1
    assert seallm("convert", source, "-o", out, "--force").returncode == 0


def test_an_unknown_option_is_a_usage_error(checkpoint: Checkpoints, seallm: Any) -> None:
    assert seallm("convert", checkpoint().path, "--typ", "Q8_0").returncode == 2


def test_a_program_can_do_what_the_command_does(checkpoint: Checkpoints, tmp_path: Path, seallm: Any) -> None:
    source, recipe = checkpoint(vocab=6000).path, tmp_path / "mine.toml"
    recipe.write_text("name = 'mine'\nbase = 'Q4_K_M'\n[tensors]\n'attn_v' = 'Q8_0'\n", encoding="utf-8")
    ours, theirs = tmp_path / "program", tmp_path / "command"
    ours.mkdir()
    theirs.mkdir()
    asked = ("--recipe", recipe, "--tensor", "ffn_down=F16", "-t", "Q8_0", "--split", "2M")
    finished = seallm("convert", source, "-o", theirs, *asked)
    assert finished.returncode == 0, finished.stderr
    paths = convert_many(source, ["Q8_0"], ours, recipe=recipe, tensors=["ffn_down=F16"], split="2M")
    shown = [Path(line).name for line in finished.stdout.decode().splitlines() if line.startswith(str(theirs))]
    assert [path.name for path in paths] == shown
    written = {folder: {path.name: path.read_bytes() for path in folder.glob("*.gguf")} for folder in (ours, theirs)}
    assert len(written[ours]) > 2
    assert written[ours] == written[theirs]

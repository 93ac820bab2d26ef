"""`seallm export` as a process of its own."""

import re
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.stores import files_below, sha256, write_model

DEMO = "smollm2-135m-instruct"
THAI, BURMESE = "แบบจำลองภาษาไทย", "မြန်မာဘာသာ မော်ဒယ်"


def test_export_prints_the_folder_and_says_that_all_was_read_back(tmp_path: Path, seallm: Any) -> None:
    model = write_model(tmp_path / "mine.gguf")
    done = seallm("export", model, tmp_path / "stick")
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert done.stdout.decode().splitlines() == [
        str(tmp_path / "stick"),
        f"{model.stat().st_size / 1e6:.2f} MB of models; all 4 files were read back and are right",
        "on the other computer: see README.txt there",
    ]


def test_licence_that_is_not_transferable_is_said_before_anything_is_written(
    home: Path, tmp_path: Path, seallm: Any
) -> None:
    (home / "models").mkdir()
    write_model(home / "models" / "SeaLLMs-v3-1.5B-Chat-Q4_K_M.gguf")
    (tmp_path / "stick").write_text("a file, so that nothing can be written")
    done = seallm("export", "seallms-v3-1.5b-chat", tmp_path / "stick2")
    assert done.stderr.decode().startswith(
        "SeaLLMs-v3-1.5B-Chat, licence seallms: https://huggingface.co/SeaLLMs/SeaLLM-13B-Chat/blob/main/LICENSE: "
        "the licence is not transferable: "
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["no-such-model", "stick"], 1, "no model named 'no-such-model'"),
        (["stick"], 2, "give the models, then the folder"),
        ([DEMO, "stick", "--platform", "amiga"], 1, "'amiga' is no platform of a runtime"),
        ([DEMO, "stick", "--split", "many"], 1, "'many' is no size"),
    ],
)
def test_bad_input_is_an_error_and_writes_nothing(
    arguments: list[str], code: int, message: str, tmp_path: Path, seallm: Any
) -> None:
    done = seallm("export", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, b"")
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_readme_is_in_the_users_language_and_in_english(tmp_path: Path, seallm: Any) -> None:
    model = write_model(tmp_path / "mine.gguf")
    seallm("export", model, tmp_path / "stick", env={"SEALLM_LANG": "my"})
    readme = (tmp_path / "stick" / "README.txt").read_bytes().decode("utf-8-sig")
    assert readme.startswith("သင့်ကိုယ်ပိုင်ကွန်ပျူတာအတွက် ဘာသာစကားမော်ဒယ်များ\r\n")
    assert "\r\nLanguage models for your own computer\r\n" in readme


@pytest.fixture
def fat_image(tmp_path: Path) -> Path:
    """Image of a FAT32 disk."""
    mkfs = shutil.which("mkfs.vfat", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if mkfs is None:
        pytest.skip("mkfs.vfat (dosfstools) is missing")
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run([mkfs, "-F", "32", str(image)], check=True, capture_output=True)
    return image


@pytest.fixture
def fat_disk(fat_image: Path, tmp_path: Path) -> Iterator[Path]:
    """A mounted FAT32 disk."""
    place = tmp_path / "mounted"
    place.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-o", "loop,utf8", str(fat_image), str(place)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no FAT32 disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], capture_output=True, check=True)


def test_real_fat32_disk_gets_an_export_that_comes_back(fat_disk: Path, tmp_path: Path, seallm: Any) -> None:
    from seallm_edge.files.file_system import file_system_of, is_fat

    assert is_fat(file_system_of(fat_disk))
    models = [write_model(tmp_path / f"{name}.gguf", n) for n, name in enumerate([THAI, BURMESE, "plain"])]
    done = seallm("export", *models, fat_disk, "--split", "1M")
    assert (done.returncode, done.stderr.decode()) == (0, "")
    done = seallm("import", fat_disk)
    assert done.returncode == 0, done.stderr.decode()
    assert sorted(line.split(": ")[0] for line in done.stdout.decode().splitlines()) == sorted([THAI, BURMESE, "plain"])


def test_names_survive_a_fat32_image(fat_image: Path, tmp_path: Path, seallm: Any) -> None:
    if not (mcopy := shutil.which("mcopy")):
        pytest.skip("mcopy (mtools) is missing")
    models = [write_model(tmp_path / "in" / f"{name}.gguf", n) for n, name in enumerate([THAI, BURMESE])]
    seallm("export", *models, tmp_path / "stick")
    env = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin", "MTOOLS_SKIP_CHECK": "1"}
    copy = [mcopy, "-i", str(fat_image), "-s", "-n", "-m"]
    subprocess.run([*copy, str(tmp_path / "stick"), "::/"], env=env, check=True, capture_output=True)
    (tmp_path / "back").mkdir()
    subprocess.run([*copy, "::/stick", str(tmp_path / "back")], env=env, check=True, capture_output=True)
    back = tmp_path / "back" / "stick"
    assert [unicodedata.normalize("NFC", name) for name in files_below(back)] == files_below(tmp_path / "stick")
    done = seallm("import", back, "--copy")
    assert (done.returncode, done.stderr.decode()) == (0, "")
    assert sorted(re.findall(r"^(.+): copied", done.stdout.decode(), re.MULTILINE)) == sorted([THAI, BURMESE])


def test_demo_on_a_fresh_home_answers_from_its_parts(demo_file: Path, tmp_path: Path, seallm: Any) -> None:
    seallm("export", DEMO, tmp_path / "stick", "--split", "40M")
    fresh = {
        "SEALLM_HOME": str(tmp_path / "fresh"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    done = seallm("import", tmp_path / "stick", "--copy", env=fresh)
    (name, _, _) = done.stdout.decode().partition(":")
    parts = sorted((tmp_path / "fresh" / "models").glob("*/*.gguf"))
    assert [sha256(part) for part in parts] == [
        sha256(part) for part in sorted((tmp_path / "stick" / "models").glob("*/*.gguf"))
    ]
    assert len(parts) == 3
    reply = seallm("run", name, "What is the capital of Japan?", "--temperature", "0", env=fresh)
    assert reply.stdout.decode() == "The capital of Japan is Tokyo.\n", reply.stderr.decode()

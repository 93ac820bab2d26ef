"""README of an export, in the 12 languages."""

import re
from dataclasses import replace

import pytest

from seallm_edge.store.carrying.runtime import Runtime
from seallm_edge.store.carrying.stick_readme import readme_text, words
from seallm_edge.text.languages import LANGUAGES, detect_language
from seallm_edge.translations import codes

LINUX = Runtime(
    platform="linux_x86_64", python="3.11", system="Linux", installing=("make venv", "install"), command="s"
)


def test_every_language_has_every_sentence() -> None:
    assert set(words()) == set(codes())
    fields = {code: {key: re.findall(r"\{\w+\}", text) for key, text in said.items()} for code, said in words().items()}
    for said in fields.values():
        assert {key: sorted(found) for key, found in said.items()} == {
            key: sorted(found) for key, found in fields["en"].items()
        }


@pytest.mark.parametrize("code", [one.code for one in LANGUAGES if one.script != "Latin"])
def test_sentences_are_in_the_script_of_their_language(code: str) -> None:
    for key in ("title", "contents", "license"):
        found = detect_language(words()[code][key].replace("seallm-edge", "").replace("LICENSE.txt", ""))
        assert found
        assert found.code == code


def test_steps_are_in_order_for_each_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALLM_LANG", "en")
    assert readme_text(["a", "b c"], "b c", [LINUX]).replace("\r\n", "\n") == (
        "Language models for your own computer\n"
        "========================================\n\n"
        "This folder holds models for seallm-edge, a program that answers in 12 languages without a network:\n\n"
        "    a\n    b c\n\n"
        "You need Python 3.11 on Linux, and nothing else.\n\n"
        "1. Open a terminal in this folder, and install the program:\n\n"
        "    make venv\n    install\n\n"
        "2. Copy the models to your computer. Every byte is checked:\n\n"
        "    s import .\n\n"
        "3. Ask a model:\n\n"
        "    s chat 'b c'\n\n"
        "To check the files yourself (on Linux):\n\n"
        "    sha256sum -c SHA256SUMS\n\n"
        "Each model has a licence of its own: LICENSE.txt beside it. Read it before you use the model. Whoever gets a "
        "copy from you has to read and accept it too.\n"
    )


def test_without_a_runtime_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALLM_LANG", "th")
    text = readme_text(["a"], "a", [])
    assert text.startswith("โมเดลภาษาสำหรับคอมพิวเตอร์ของคุณเอง\r\n")
    assert "\r\n1. The program is not in this folder: install seallm-edge first.\r\n" in text
    assert "\n" not in text.replace("\r\n", "")


def test_what_a_runtime_lacks_stands_before_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALLM_LANG", "en")
    text = readme_text(["a"], "a", [replace(LINUX, notes=("x has no wheel: build it",))]).replace("\r\n", "\n")
    needs = "You need Python 3.11 on Linux, and nothing else."
    assert f"{needs}\n\nx has no wheel: build it\n\n1. " in text

"""Personas: built-in ones in the 12 languages, files of the user, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from seallm_edge.chat.personas import Persona, find_persona, persona_names
from seallm_edge.errors import InvalidOption
from seallm_edge.text.languages import LANGUAGES, detect_language

CODES = ["en", "zh", "id", "vi", "th", "tl", "ms", "my", "km", "lo", "ta", "jv"]


def write(home: Path, name: str, data: bytes) -> Path:
    (home / "personas").mkdir(exist_ok=True)
    path = home / "personas" / name
    path.write_bytes(data)
    return path


def test_each_language_has_one_in_its_own_words() -> None:
    assert persona_names() == CODES
    assert {language.code for language in LANGUAGES} == set(CODES)
    for code in ("zh", "vi", "th", "my", "km", "lo", "ta", "en"):  # whose script or letters tell the language
        language = detect_language(find_persona(code).system)
        assert language
        assert language.code == code


def test_a_file_of_the_user_is_one_and_comes_before_a_built_in_one(home: Path) -> None:
    cook = write(home, "ครัว.toml", 'system = "คุณเป็นเชฟ"\n'.encode())
    thai = write(home, "th.toml", b'system = "Thai, please."\n')
    assert find_persona("ครัว") == Persona("ครัว", "คุณเป็นเชฟ", cook)
    assert find_persona("th") == Persona("th", "Thai, please.", thai)
    assert persona_names() == ["th", "ครัว", *(code for code in CODES if code != "th")]


def test_an_unknown_name_is_told_with_those_that_exist(home: Path) -> None:
    write(home, "cook.toml", b'system = "You cook."')
    with pytest.raises(InvalidOption, match="no persona named 'cok'; did you mean 'cook'") as error:
        find_persona("cok")
    assert str(error.value.hint).startswith("there are: cook, en, zh, ")
    with pytest.raises(InvalidOption, match="no persona named"):
        find_persona("../personas/cook")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"system = ", "bad.toml is no TOML: "),
        (b"[" * 100_000, "bad.toml is larger than 64 KiB"),
        (b"a = " + b"[" * 20_000, "bad.toml is no TOML"),
        (b'title = "x"', "bad.toml has no system message"),
        (b"system = 5", "bad.toml has no system message"),
        (b'system = "  "', "bad.toml has no system message"),
        (b'system = "\xff"', "bad.toml is not UTF-8"),
    ],
)
def test_a_file_without_a_system_message_is_named(home: Path, data: bytes, problem: str) -> None:
    write(home, "bad.toml", data)
    with pytest.raises(InvalidOption, match=problem):
        find_persona("bad")

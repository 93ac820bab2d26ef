"""The language of the chat's own words: by choice, by the environment, or English."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seallm_edge import translations
from seallm_edge.chat.notices import TurnsDropped
from seallm_edge.terminal.notices import notice_words
from seallm_edge.translations import _, language_of, ngettext


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    yield
    translations.use("")


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({}, "en"),
        ({"LANG": "vi_VN.UTF-8"}, "vi"),
        ({"LANG": "km_KH", "LC_MESSAGES": "lo_LA.UTF-8"}, "lo"),
        ({"LC_MESSAGES": "lo_LA", "LC_ALL": "ta_IN.UTF-8@x"}, "ta"),
        ({"LC_ALL": "ta_IN", "LANGUAGE": "fr:jv:th"}, "jv"),
        ({"LANGUAGE": "th", "SEALLM_LANG": "my"}, "my"),
        ({"SEALLM_LANG": "", "LANG": "zh-Hans-CN"}, "zh"),
        ({"LANG": "fil_PH.UTF-8"}, "tl"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LC_ALL": "C", "LANG": "vi_VN"}, "en"),
        ({"SEALLM_LANG": "xx", "LANG": "vi_VN"}, "en"),
    ],
)
def test_the_first_variable_that_is_set_decides(environ: dict[str, str], code: str) -> None:
    assert language_of(environ) == code


def test_a_choice_goes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALLM_LANG", "th")
    assert _("no answer yet") == "ยังไม่มีคำตอบ"
    translations.use("km")
    assert (_("no answer yet"), translations.language()) == ("មិនទាន់មានចម្លើយទេ", "km")
    translations.use("")
    assert _("no answer yet") == "ยังไม่มีคำตอบ"


def test_an_unknown_language_is_refused_and_changes_nothing() -> None:
    with pytest.raises(KeyError):
        translations.use("xx")
    assert _("no answer yet") == "no answer yet"


def test_a_message_without_translation_stays_english() -> None:
    translations.use("my")
    assert (_("no such message"), ngettext("one", "several", 2)) == ("no such message", "several")


@pytest.mark.parametrize(
    ("code", "one", "three"),
    [
        ("en", "the oldest turn left the context", "the 3 oldest turns left the context"),
        ("ta", "மிகப் பழைய சுற்று சூழலை விட்டு வெளியேறியது", "மிகப் பழைய 3 சுற்றுகள் சூழலை விட்டு வெளியேறின"),
        ("id", "1 giliran terlama keluar dari konteks", "3 giliran terlama keluar dari konteks"),
    ],
)
def test_plurals_are_those_of_the_language(code: str, one: str, three: str) -> None:
    translations.use(code)
    assert (notice_words(TurnsDropped(1)), notice_words(TurnsDropped(3))) == (one, three)

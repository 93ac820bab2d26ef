"""`/set` and `/lang`: what they change, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from seallm_edge import translations
from seallm_edge.chat import ContextBudget, History
from support.chat_screens import run, talk

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    yield
    translations.use("")


def test_set_lists_the_options_and_which_are_the_models_own(capsys: Captured) -> None:
    conversation = talk(History.in_memory(), sampling={"temperature": 0.2, "stop": ("###",)})
    out, err = run(conversation, capsys, "/set")
    assert out == [
        "temperature       0.2  (the model's own: 0.7)",
        "top_p             1.0  (the model's own)",
        "top_k             50  (the model's own)",
        "min_p             0.0  (the model's own)",
        "repeat_penalty    1.05  (the model's own)",
        "repeat_last_n     64  (the model's own)",
        "presence_penalty  0.0  (the model's own)",
        "frequency_penalty 0.0  (the model's own)",
        "seed              none  (the model's own)",
        "max_tokens        512  (the model's own)",
        'stop              ["###"]  (the model\'s own: [])',
        "logit_bias        {}  (the model's own)",
        "logprobs          none  (the model's own)",
        "reply_tokens      512",
        "when_full         drop",
    ]
    assert err == []


def test_set_changes_the_next_answers_until_the_option_is_given_back(capsys: Captured) -> None:
    conversation = talk(History.in_memory(), "Halo!", "Halo!", "Halo!")
    _, err = run(conversation, capsys, "/set max_tokens 3", "Hi", "/set max-tokens none", "Hi", "/set max_tokens", "Hi")
    assert err == [
        "(max_tokens is now 3)",
        "(cut off at the longest reply or the end of the context)",
        "(max_tokens is now none)",
        "(max_tokens is now 512)",
    ]
    assert [one.content for one in conversation.messages[1::2]] == ["Hal", "Halo!", "Halo!"]
    assert conversation.sampling == {}


def test_stop_is_a_text_or_a_list_of_texts(capsys: Captured) -> None:
    conversation = talk(History.in_memory())
    run(conversation, capsys, "/set stop 5", '/set logit_bias {"7": -100}')
    assert conversation.sampling == {"stop": "5", "logit_bias": {"7": -100}}
    run(conversation, capsys, '/set stop ["a", "b"]')
    assert conversation.sampling["stop"] == ["a", "b"]


def test_set_changes_what_happens_when_the_context_is_full(capsys: Captured) -> None:
    conversation = talk(History.in_memory())
    _, err = run(conversation, capsys, "/set full stop", "/set reply_tokens 100")
    assert err == ["(when_full is now stop)", "(reply_tokens is now 100)"]
    assert conversation.budget == ContextBudget(100, "stop")
    run(conversation, capsys, "/set when_full", "/set reply_tokens")
    assert conversation.budget == ContextBudget()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("/set temperature hot", ["temperature is 'hot'", "  give a number"]),
        ("/set temperature none", ["temperature is None", "  give a number"]),
        ("/set temperature NaN", ["temperature is nan", "  give a number from 0 to 100"]),
        ("/set top_p 2", ["top_p is 2", "  give a number from 0 to 1"]),
        ("/set seed 1.5", ["seed is 1.5", "  give a whole number"]),
        ("/set stop [1]", ["stop is [1]", "  give a text, or a list of texts"]),
        ("/set tempreature 1", ["no option 'tempreature'; did you mean 'temperature'?", "  /set lists them"]),
        ("/set full maybe", ["when_full is 'maybe'", '  give "drop" or "stop"']),
        ("/set reply_tokens 0", ["reply_tokens is 0", "  give a whole number above 0"]),
        ("/lang xx", ["no language 'xx'", "  /lang lists them"]),
        ("/copy all", ["cannot copy 'all'", "  /copy, or /copy code"]),
    ],
)
def test_a_wrong_value_is_refused_at_once_and_changes_nothing(line: str, said: list[str], capsys: Captured) -> None:
    conversation = talk(History.in_memory())
    assert run(conversation, capsys, line) == ([], said)
    assert (conversation.sampling, conversation.budget) == ({}, ContextBudget())


def test_lang_lists_the_languages_and_changes_what_the_chat_says(capsys: Captured) -> None:
    out, err = run(talk(History.in_memory()), capsys, "/lang", "/lang vi", "/new", "/lang", "/lang en", "/new")
    assert out[:3] == ["* en  English", "  zh  中文", "  id  Bahasa Indonesia"]
    assert out[12:16] == ["  en  English", "  zh  中文", "  id  Bahasa Indonesia", "* vi  Tiếng Việt"]
    assert err == [
        "(giao diện bây giờ dùng Tiếng Việt; đặt SEALLM_LANG=vi để giữ nguyên)",
        "(cuộc trò chuyện mới)",
        "(the chat now speaks English; SEALLM_LANG=en keeps it)",
        "(a new conversation)",
    ]

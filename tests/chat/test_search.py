"""Search of the history in 12 languages: substrings of any length, and queries that look like FTS5 or SQL."""

import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seallm_edge.chat import History, search
from seallm_edge.chat.records import Match
from seallm_edge.text.samples import SENTENCES
from seallm_edge.text.unicode import graphemes

# language → (query, number of its sentence): a word of two or three syllables, or of one or two characters
QUERIES = [
    ("en", "clinic", 0),
    ("en", "COCONUT", 1),
    ("en", "$1.20", 0),
    ("en", "grand recipe", 1),
    ("zh", "诊所", 0),
    ("zh", "盐", 1),
    ("zh", "公交车", 0),
    ("id", "karcis", 0),
    ("id", "nenek", 1),
    ("vi", "trạm y tế", 0),
    ("vi", "DỪA", 1),
    ("vi", "bà", 1),
    ("th", "สถานี", 0),
    ("th", "ข้าวสาร", 1),
    ("th", "น.", 0),
    ("tl", "₱15", 0),
    ("tl", "lola", 1),
    ("ms", "klinik", 0),
    ("ms", "separuh", 1),
    ("my", "ဆေးခန်း", 0),
    ("my", "ဆား", 1),
    ("km", "ឡានក្រុងទៅ", 0),
    ("km", "អំបិល", 1),
    ("lo", "ສຸກສາລາ", 0),
    ("lo", "ເກືອ", 1),
    ("ta", "பேருந்து", 0),
    ("ta", "ரிக்ஷா", 0),
    ("ta", "உப்பு", 1),
    ("jv", "KARCISÉ", 0),
    ("jv", "resèpé", 1),
]


@pytest.fixture(params=["FTS5", "scan"])
def history(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    monkeypatch.setattr(search, "has_fts5", lambda: request.param == "FTS5")
    with History() as opened:
        yield opened


def store(history: History, *texts: str) -> list[int]:
    key = history.create()
    return [history.add_message(key, None, "user", text) for text in texts]


def found(history: History, query: str, limit: int = 100) -> list[int]:
    return [match.message for match in history.search(query, limit)]


def test_words_of_every_language_are_found_composed_and_decomposed(history: History) -> None:
    stored = {code: store(history, *sentences) for code, sentences in SENTENCES.items()}
    for code, query, number in QUERIES:
        for form in ("NFC", "NFD"):
            assert stored[code][number] in found(history, unicodedata.normalize(form, query)), (code, query, form)


def test_a_decomposed_text_is_found_by_a_composed_query(history: History) -> None:
    (message,) = store(history, unicodedata.normalize("NFD", "Phở bò tái ở Việt Nam"))
    for query in ("phở", "việt nam", "Ở", "TÁI"):
        assert found(history, query) == [message]


def test_every_word_must_occur_in_any_order_and_inside_other_words(history: History) -> None:
    first, second = store(history, "Saya dimakan harimau", "Makanan harian\nuntuk saya")
    assert found(history, "makan") == [second, first]
    assert found(history, "saya makan") == [second, first]
    assert found(history, "harimau makan") == [first]
    assert found(history, "saya untuk harian") == [second]
    assert found(history, "makan nasi") == []
    assert found(history, "s m") == [second, first]


def test_invisible_characters_do_not_matter_on_either_side(history: History) -> None:
    (message,) = store(history, "ឡាន\u200bក្រុង 👩\u200d🍳❤\ufe0f ரிக்\u200cஷா")
    for query in ("ឡានក្រុង", "ឡ\u200bាន\u200bក្រុង", "👩🍳", "👩\u200d🍳", "❤", "ரிக்ஷா", "\ufeffឡាន"):
        assert found(history, query) == [message], query


def test_the_latest_match_comes_first_and_the_limit_holds(history: History) -> None:
    stored = store(history, *(f"bus {number}" for number in range(30)))
    assert found(history, "bus", 5) == stored[:-6:-1]
    assert found(history, "b", 5) == stored[:-6:-1]
    assert found(history, "bus", 0) == found(history, "bus", -1) == []
    assert found(history, "") == found(history, " \u200b\n") == []


HOSTILE = [
    *('"', '""', '"bus', "*", "bus*", "-", "-bus", "NEAR", "NEAR(a b)", "bus OR x", "AND", "NOT", "^bus", "text:bus"),
    *("bus\0", "\0", "\ud800", "a\udfffb", "'; DROP TABLE messages; --", "%", "_", "b_s", "{bus}", "(", ")", "+", "\\"),
    *("\ue020", "\ue080", "x" * 5000, " ".join(map(str, range(500))), "🇹🇭", "\u0301", "\uffff"),
]


@pytest.mark.parametrize("query", HOSTILE)
def test_a_query_is_plain_text_whatever_it_looks_like(query: str, history: History) -> None:
    plain, same, _ = store(history, "the bus leaves", f"<{query}>", "")
    terms = search.terms_of(query)
    expected = [same, *([plain] if all(term in "the bus leaves" for term in terms) else [])]
    assert found(history, query) == expected


def test_a_snippet_is_whole_grapheme_clusters_around_the_match(history: History) -> None:
    (id_,) = store(history, "น้ำ" * 100 + "ข้าวผัด" + "น้ำ" * 100)
    message = history.message(id_)
    snippet = "…" + "น้ำ" * 24 + "ข้าวผัด" + "น้ำ" * 55 + "…"
    assert len(graphemes("ข้าวผัด")) == 5
    for title in ("น้ำ" * 60 + "…", "Makan"):
        assert history.search("ข้าวผัด") == [
            Match(message.conversation, title, id_, "user", message.created, snippet),
        ]
        history.rename(message.conversation, "Makan")


@pytest.mark.parametrize(
    ("content", "term", "snippet"),
    [
        ("Nasi\n\n  lemak", "lemak", "Nasi lemak"),
        ("a " * 100 + "bus", "bus", "…" + "a " * 12 + "bus"),
        ("bus" + " a" * 100, "bus", "bus" + " a" * 28 + "…"),
        ("Where does the bus to the clinic leave?", "clinic", "…does the bus to the clinic leave?"),
        ("clinic " + "bus " * 13 + "leaves", "clinic", "clinic " + "bus " * 12 + "bus…"),
        ("Co\u031bm ta\u0302\u0301m", "tấm", "Co\u031bm ta\u0302\u0301m"),
        ("ឡាន\u200bក្រុង", "ឡានក្រុង", "ឡាន\u200bក្រុង"),
        ("nothing", "absent", "nothing"),
        ("", "x", ""),
    ],
)
def test_a_snippet_is_one_line_with_marks_where_it_was_cut(content: str, term: str, snippet: str) -> None:
    assert search.snippet(content, term) == snippet


TEXTS = st.lists(st.text('abAB áÁ́กกำ้ខ្មែរ\u200b 诊所*"-\n', max_size=12), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.data())
def test_a_search_finds_what_a_scan_finds(tmp_path_factory, texts: list[str], data: st.DataObject) -> None:
    source = data.draw(st.sampled_from(texts))
    start = data.draw(st.integers(0, len(source)))
    query = source[start : start + data.draw(st.integers(1, 6))]
    with History(tmp_path_factory.mktemp("home") / "history.sqlite") as history:
        stored = store(history, *texts)
        terms = search.terms_of(query)
        expected = [id_ for id_, text in zip(stored, texts, strict=True) if all(t in search.fold(text) for t in terms)]
        assert found(history, query) == (expected[::-1] if terms else [])


def test_messages_written_without_fts5_are_indexed_by_the_next_search_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without, History() as history:
        without.setattr(search, "has_fts5", lambda: False)
        (first,) = store(history, "ข้าวผัด")
        key = history.conversation(history.message(first).conversation).id
        streaming = history.add_message(key, first, "assistant", "", state="streaming")
    with History() as history:
        assert found(history, "ข้าว") == [first]
        history.finish(streaming, "ข้าวสวย")
        assert found(history, "ข้าว") == [streaming, first]
        with monkeypatch.context() as without:
            without.setattr(search, "has_fts5", lambda: False)
            history.remove(key)
        assert found(history, "ข้าว") == []


def test_a_streaming_reply_is_found_once_it_is_finished() -> None:
    with History() as history:
        reply = history.add_message(history.create(), None, "assistant", "", state="streaming")
        history.append(reply, "Selamat pagi")
        assert found(history, "pagi") == []
        history.finish(reply, "Selamat pagi")
        assert found(history, "pagi") == [reply]

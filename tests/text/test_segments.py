import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seallm_edge.text import words as words_module
from seallm_edge.text.samples import SENTENCES, TEXTS
from seallm_edge.text.segments import MAX_SEGMENT, SegmentStream, segments
from seallm_edge.text.unicode import graphemes
from seallm_edge.text.words import words
from support.deltas import cut

SPLITTERS = {"icu4py": words_module._icu, "budoux": words_module._budoux}


@pytest.fixture(params=[*SPLITTERS, "none"])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The package that finds words."""
    if request.param == "none":
        splitter = words_module._syllables
    else:
        pytest.importorskip(request.param)
        splitter = SPLITTERS[request.param]()
    monkeypatch.setattr(words_module, "_splitter", lambda: splitter)
    return request.param


def ends(parts: list[str]) -> set[int]:
    """Where `parts` end in their text."""
    return {sum(map(len, parts[: n + 1])) for n in range(len(parts))}


@pytest.mark.parametrize("text", TEXTS, ids=[f"{code}{n}" for code in SENTENCES for n in (1, 2)])
def test_segments_join_to_the_text_and_hold_whole_grapheme_clusters(text: str, installed: str) -> None:
    found = segments(text)
    assert "".join(found) == text
    assert ends(found) <= ends(graphemes(text))


@given(st.text())
@example("🇹🇭🇹🇭🇹")
@example("ก\u0301\u200d👩\u200d👩")
def test_segments_of_any_text_join_to_it_between_grapheme_clusters(text: str) -> None:
    found = segments(text)
    assert "".join(found) == text
    assert ends(found) <= ends(graphemes(text))


def streamed(deltas: list[str]) -> list[str]:
    """Segments of a text that comes in deltas, spaces joined to the word before them."""
    stream = SegmentStream()
    found: list[str] = []
    for segment in [*(segment for delta in deltas for segment in stream.feed(delta)), *stream.close()]:
        if segment.isspace() and found:
            found[-1] += segment
        else:
            found.append(segment)
    return found


@pytest.mark.parametrize("code", SENTENCES)
def test_segments_do_not_depend_on_how_the_text_is_cut(code: str, installed: str) -> None:
    for text in SENTENCES[code]:
        for seed in range(5):
            assert streamed(cut(text, seed)) == segments(text)


@given(st.text(), st.integers(0, 9))
def test_segments_of_any_text_do_not_depend_on_how_it_is_cut(text: str, seed: int) -> None:
    assert streamed(cut(text, seed)) == segments(text)


def test_lines_break_between_the_words_of_a_dictionary() -> None:
    pytest.importorskip("icu4py")
    assert segments("เขาไปโรงเรียนกับเพื่อนทุกวัน") == ["เขา", "ไป", "โรงเรียน", "กับ", "เพื่อน", "ทุก", "วัน"]
    assert segments("ຂ້ອຍໄປໂຮງຮຽນທຸກມື້") == ["ຂ້ອຍ", "ໄປ", "ໂຮງຮຽນ", "ທຸກມື້"]
    assert segments("ខ្ញុំទៅសាលារៀន។") == ["ខ្ញុំ", "ទៅ", "សាលារៀន។"]
    assert segments("ကျောင်းသွားမယ်။") == ["ကျောင်း", "သွား", "မယ်။"]


def test_words_are_those_of_the_whole_text_nearly_everywhere() -> None:
    breakers = pytest.importorskip("icu4py.breakers")
    n_whole = n_different = 0
    for code in ("th", "lo", "my", "km"):
        for sentence in SENTENCES[code]:
            whole, found = list(breakers.LineBreaker(sentence, "th")), segments(sentence)
            n_whole += len(whole)
            n_different += len(ends(whole) ^ ends(found))
    assert (n_whole, n_different) == (137, 1)


def test_budoux_finds_thai_words() -> None:
    pytest.importorskip("budoux")
    assert words_module._budoux()("เขาไปโรงเรียน") == ["เขา", "ไป", "โรงเรียน"]


def test_without_a_dictionary_vowels_and_signs_stay_with_their_consonant() -> None:
    assert words_module._syllables("เมล์และน้ำๆ") == ["เม", "ล์", "และ", "น้ำๆ"]
    assert words_module._syllables("ມື້ ໄປ".replace(" ", "")) == ["ມື້", "ໄປ"]
    assert words_module._syllables("ဆေးခန်းသွား၊") == ["ဆေး", "ခန်း", "သွား၊"]
    assert words_module._syllables("១៥០០រៀល។") == ["១៥០០", "រៀ", "ល។"]


def test_chinese_breaks_anywhere_but_around_its_punctuation() -> None:
    assert segments("他说：“你好，世界。”（真的）") == ["他", "说：", "“你", "好，", "世", "界。”", "（真", "的）"]
    assert segments("第7点45分") == ["第", "7", "点", "45", "分"]


def test_korean_breaks_at_spaces() -> None:
    assert segments("한국어 텍스트") == ["한국어 ", "텍스트"]


def test_a_zero_width_space_is_kept_and_ends_a_segment() -> None:
    pytest.importorskip("icu4py")  # or clusters are the words
    assert segments("សូម\u200bកុំ\u200bមក a\u200bb") == ["សូម\u200b", "កុំ\u200b", "មក ", "a\u200b", "b"]


def test_no_break_spaces_and_word_joiners_hold_words_together() -> None:
    assert segments("10\u00a0km 中\u2060文 a\u3000b") == ["10\u00a0km ", "中\u2060文 ", "a\u3000", "b"]


def test_urls_options_and_paths_are_whole() -> None:
    text = "https://example.com/a-b/c?d=e&f=g --dry-run /usr/lib/x.so"
    assert segments(text) == ["https://example.com/a-b/c?d=e&f=g ", "--dry-run ", "/usr/lib/x.so"]


def test_emoji_are_whole_and_lines_break_beside_them() -> None:
    assert segments("ok👩\u200d🍳🇹🇭👍🏽!") == ["ok", "👩\u200d🍳", "🇹🇭", "👍🏽!"]


def test_a_word_is_known_when_a_space_follows() -> None:
    stream = SegmentStream()
    assert [stream.feed(delta) for delta in ("Hel", "lo", " ", "the")] == [[], [], ["Hello"], [" "]]


def test_undecided_words_are_known_before_they_are_decided() -> None:
    pytest.importorskip("icu4py")
    stream = SegmentStream()
    assert (stream.feed("เขาไป"), stream.undecided) == ([], "เขาไ")
    assert (stream.feed(" โรง"), stream.undecided) == (["เขา", "ไป", " "], "โร")


def test_what_is_no_word_is_cut() -> None:
    assert [len(segment) for segment in segments("x" * 2_500)] == [MAX_SEGMENT, MAX_SEGMENT, 500]
    assert "".join(segments("e" + "\u0301" * 2_000)) == "e" + "\u0301" * 2_000


def test_words_of_a_single_cluster_are_that_cluster() -> None:
    assert words("ก") == ["ก"]

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seallm_edge.text.unicode import TextStream, graphemes, normalize, visible

BURMESE = "မင်္ဂလာပါ ကမ္ဘာကြီး"
KHMER = "ស្ត្រីខ្មែរ"
THAI = "น้ำใจ"
TAMIL = "வணக்கம்"
FAMILY = "👨‍👩‍👧"


def collect(chunks: list[bytes], stop: tuple[str, ...] = ()) -> list[str]:
    stream = TextStream(stop)
    return [piece for piece in (*map(stream.feed, chunks), stream.finish()) if piece]


def single_bytes(text: str) -> list[bytes]:
    return [bytes([byte]) for byte in text.encode()]


@pytest.mark.parametrize("text", [BURMESE, KHMER, THAI, TAMIL, FAMILY, "Tiếng Việt", "中文", "ພາສາລາວ"])
def test_bytes_one_by_one_come_out_as_whole_grapheme_clusters(text: str) -> None:
    assert collect(single_bytes(text)) == graphemes(text)


def test_stacked_consonants_are_one_cluster() -> None:
    assert graphemes("ကမ္ဘာ") == ["က", "မ္ဘ", "ာ"]
    assert graphemes(KHMER) == ["ស្ត្រី", "ខ្មែ", "រ"]


@given(st.text(), st.integers(1, 7))
def test_pieces_join_to_the_text_however_the_bytes_are_cut(text: str, size: int) -> None:
    data = text.encode("utf-8", "replace")
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert "".join(collect(chunks)) == data.decode()


@given(st.binary(), st.integers(1, 5))
def test_broken_bytes_become_the_replacement_character_as_python_decodes_them(data: bytes, size: int) -> None:
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert "".join(collect(chunks)) == data.decode("utf-8", "replace")


def test_a_character_cut_off_at_the_end_is_shown_once_as_replacement() -> None:
    assert "".join(collect([b"a", "ကမ".encode()[:-1]])) == "aက\ufffd"


def test_it_tells_whether_a_character_is_unfinished() -> None:
    stream = TextStream()
    for data, is_midway in ((b"a", False), (b"\xe1\x80", True), (b"\x80", False), (b"\xff", False), (b"\xf0", True)):
        stream.feed(data)
        assert stream.is_midway == is_midway


def test_a_line_feed_is_not_held_back() -> None:
    stream = TextStream()
    assert stream.feed(b"one\n") == "one\n"


def test_nothing_is_held_back_at_the_end() -> None:
    stream = TextStream(stop=("END",))
    assert stream.feed(b"EN") == ""
    assert stream.finish() == "EN"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_text_ends_before_a_stop_text_however_it_is_cut(size: int) -> None:
    data = "ជំរាបសួរ STOP ignored".encode()
    stream = TextStream(stop=("nothing", "STOP"))
    pieces = [stream.feed(data[i : i + size]) for i in range(0, len(data), size)]
    assert "".join(pieces) + stream.finish() == "ជំរាបសួរ "
    assert stream.stopped


def test_the_earliest_of_several_stop_texts_counts() -> None:
    stream = TextStream(stop=("c", "b"))
    assert stream.feed(b"abc") + stream.finish() == "a"


def test_the_beginning_of_a_stop_text_that_goes_on_otherwise_is_text() -> None:
    assert "".join(collect(single_bytes("aab aaX"), stop=("aaX!",))) == "aab aaX"


def test_stop_text_inside_a_grapheme_cluster_stops_there() -> None:
    stream = TextStream(stop=("\u0e49",))  # a Thai tone mark, the second character of its cluster
    assert stream.feed("น้ำ".encode()) + stream.finish() == "น"


@given(st.text(alphabet="ab\u0301", max_size=12), st.text(alphabet="ab\u0301", min_size=1, max_size=3))
def test_stop_texts_match_as_in_the_whole_text(text: str, stop: str) -> None:
    assert "".join(collect(single_bytes(text), stop=(stop,))) == text.partition(stop)[0]


@pytest.mark.parametrize("stop_form", ["NFC", "NFD"])
@pytest.mark.parametrize("text_form", ["NFC", "NFD"])
def test_a_stop_text_is_found_composed_and_decomposed(stop_form: str, text_form: str) -> None:
    data = unicodedata.normalize(text_form, "Tôi ở Hà Nội, Việt Nam.")
    shown = "".join(collect(single_bytes(data), stop=(unicodedata.normalize(stop_form, "Nội"),)))
    assert normalize(shown) == "Tôi ở Hà "


@pytest.mark.parametrize(
    ("text", "stop", "shown"),
    [
        (f"a {FAMILY} b", "👩", f"a {FAMILY} b"),
        (f"a {FAMILY} b", "👨", f"a {FAMILY} b"),
        (f"a {FAMILY} b", "👧", f"a {FAMILY} b"),
        (f"a {FAMILY} b", FAMILY, "a "),
        (f"{FAMILY} 👩 b", "👩", f"{FAMILY} "),
        ("a 👩", "👩", "a "),
        ("👍🏽👍", "👍", "👍🏽"),
        ("🇹🇭🇱🇦", "🇱🇦", "🇹🇭"),
        ("🇹🇭🇱🇦", "🇭🇱", "🇹🇭🇱🇦"),
        ("❤️ ❤", "❤", "❤️ "),
        ("a\u200db", "\u200d", "a"),
        ("a\u200db", "b", "a\u200d"),
    ],
)
def test_a_stop_text_takes_no_emoji_apart(text: str, stop: str, shown: str) -> None:
    assert "".join(collect(single_bytes(text), stop=(stop,))) == shown
    assert "".join(collect([text.encode()], stop=(stop,))) == shown


def test_decomposed_text_is_composed() -> None:
    composed = "Tiếng Việt đẹp"
    assert normalize(unicodedata.normalize("NFD", composed)) == composed


def test_lone_surrogates_become_replacement_characters() -> None:
    assert normalize("a\udcff") == "a\ufffd"


def test_control_characters_cannot_steer_the_terminal() -> None:
    assert visible("\x1b[2Jred\x9b31m\x7f\r") == "␛[2Jred\ufffd31m␡␍"


def test_text_in_any_script_passes_unchanged() -> None:
    text = "one\n\ttwo မင်္ဂလာပါ ជំរាបសួរ 👨‍👩‍👧"
    assert visible(text) == text


def test_a_stop_text_is_named_as_it_was_given_however_it_came() -> None:
    given = unicodedata.normalize("NFD", "Nội")
    stream = TextStream(stop=("END", given))
    stream.feed(unicodedata.normalize("NFC", "Hà Nội").encode())
    assert (stream.stopped, stream.stop_text) == (True, given)
    unstopped = TextStream(stop=("END",))
    unstopped.feed(b"EN")
    unstopped.finish()
    assert (unstopped.stopped, unstopped.stop_text) == (False, None)

"""Prompt lookup, and the combination of several drafters."""

from __future__ import annotations

from collections.abc import Sequence

from seallm_edge.drafting import CombinedDrafter, Drafter, DraftToken, PromptLookup


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def combined_drafter(drafters: list[Drafter]) -> CombinedDrafter:
    return CombinedDrafter(drafters, lambda draft_token: draft_token.confidence)


def drafted(text: str, drafter: Drafter, most: int = 8) -> str:
    return "".join(chr(draft_token.token) for draft_token in drafter.propose(letters(text), most))


def test_what_came_before_comes_again() -> None:
    assert drafted("The ship was the Nusantara Jaya. Her captain loved the Nusan", PromptLookup()) == "tara Jay"


def test_nothing_is_guessed_of_what_never_came() -> None:
    assert drafted("abcdefgh", PromptLookup()) == ""
    assert drafted("", PromptLookup()) == ""
    assert drafted("a", PromptLookup()) == ""


def test_the_longest_match_counts_else_the_latest() -> None:
    assert drafted("12345678X 678Y 12345678", PromptLookup(), 1) == "X"
    assert drafted("678X 678Y 678", PromptLookup(), 1) == "Y"


def test_longer_matches_are_surer() -> None:
    short = PromptLookup().propose(letters("xyzA 123 xyz"), 1)[0]
    long = PromptLookup().propose(letters("in the harbour A 123 in the harbour "), 1)[0]
    assert short.confidence < 0.5 < long.confidence


def test_it_learns_as_the_text_grows() -> None:
    drafter = PromptLookup()
    text = "one two three. "
    assert drafted(text, drafter) == ""
    assert drafted(text + "one", drafter) == " two thr"
    assert drafted(text + "one two three. o", drafter, 4) == "ne t"


class Says(Drafter):
    def __init__(self, text: str, confidence: float) -> None:
        self._text, self._confidence = text, confidence
        self.n_asked = self.n_closed = 0

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> DraftToken | None:
        self.n_asked += 1
        return DraftToken(ord(self._text[len(draft)]), self._confidence, self._text) if draft or tokens else None

    def close(self) -> None:
        self.n_closed += 1


def test_of_several_the_surest_is_believed_at_each_place() -> None:
    assert drafted("?", combined_drafter([Says("aaa", 0.3), Says("bbb", 0.6)]), 3) == "bbb"


def test_one_who_claims_too_much_does_not_drown_the_others() -> None:
    boaster, modest = Says("aaa", 0.8), Says("bbb", 0.4)
    known = {"aaa": 0.1, "bbb": 0.5}
    assert drafted("?", CombinedDrafter([boaster, modest], lambda draft_token: known[draft_token.source]), 3) == "bbb"


def test_two_who_agree_are_surer_than_one() -> None:
    (draft_token,) = combined_drafter([Says("a", 0.5), Says("a", 0.6)]).propose([1], 1)
    assert draft_token == DraftToken(ord("a"), 1 - 0.5 * 0.4, "a+a")


def test_where_the_first_is_sure_the_others_are_not_asked() -> None:
    dear = Says("bb", 0.99)
    assert drafted("?", combined_drafter([Says("aa", 0.95), dear]), 2) == "aa"
    assert dear.n_asked == 0


def test_closing_closes_all() -> None:
    parts = [Says("a", 0.5), Says("b", 0.5)]
    combined_drafter(parts).close()
    assert [part.n_closed for part in parts] == [1, 1]
    assert combined_drafter([]).propose([1], 4) == []

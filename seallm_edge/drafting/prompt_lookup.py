"""`PromptLookup`: drafts from the sequence's own text: what followed the last occurrence of its last tokens."""

from __future__ import annotations

from collections.abc import Sequence

from .contract import Drafter, DraftToken

_SHORTEST, _LONG = 3, 8  # tokens of a match: as far back as it takes to find one, and to find the best one
_LONGEST = 32  # further back nothing is gained
# Prior acceptance rate by length of the match, in tokens; `Acceptance` corrects it.
_CONFIDENCE = [0.0, 0.1, 0.2, 0.35, 0.42, 0.48, 0.54, 0.6, 0.66, 0.7, 0.73, 0.76, 0.79, 0.81, 0.83, 0.85, 0.87]


class PromptLookup(Drafter):
    """Prompt lookup drafter: names, quotations, code and translations repeat what the prompt or the reply already
    holds.
    """

    def __init__(self) -> None:
        self._n_read = 0
        self._after: dict[int, dict[tuple[int, ...], int]] = {_SHORTEST: {}, _LONG: {}}  # n-gram → where it last ended
        self._follows = -1  # the place in the text whose copy comes next
        self._length = 0  # tokens before that place which are the same as here

    def next(self, tokens: Sequence[int], draft: Sequence[int]) -> DraftToken | None:
        """The token that followed the latest earlier match of the last tokens."""
        if not draft:
            self._read(tokens)
        if draft and 0 <= self._follows < len(tokens) and tokens[self._follows] == draft[-1]:
            self._follows += 1  # the copy goes on
            self._length += 1
        else:
            tail = [*tokens[-_LONGEST:], *draft]
            self._follows = self._match(tail)
            self._length = _match_length(tokens, self._follows, tail)
        if not 0 <= self._follows < len(tokens):
            return None
        confidence = _CONFIDENCE[min(self._length, len(_CONFIDENCE) - 1)]
        return DraftToken(tokens[self._follows], confidence, "context")

    def _read(self, tokens: Sequence[int]) -> None:
        """Index the end of each n-gram, except those at the very end, which nothing has followed yet."""
        for n, after in self._after.items():
            for end in range(max(self._n_read, n), len(tokens)):
                after[tuple(tokens[end - n : end])] = end
        self._n_read = len(tokens)

    def _match(self, tail: Sequence[int]) -> int:
        for n in (_LONG, _SHORTEST):
            place = self._after[n].get(tuple(tail[-n:]), -1)
            if place >= 0:
                return place
        return -1


def _match_length(tokens: Sequence[int], place: int, tail: Sequence[int]) -> int:
    """Number of tokens before `place` that equal the last ones of `tail`."""
    length = 0
    while length < min(place, len(tail)) and tokens[place - 1 - length] == tail[-1 - length]:
        length += 1
    return length

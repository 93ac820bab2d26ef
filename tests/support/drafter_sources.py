"""Drafters without a vocabulary, for tests of the speculator."""

from __future__ import annotations

from collections.abc import Callable

from seallm_edge.drafting import Drafter


class Made:
    """A source that makes each drafter by calling `make`."""

    def __init__(self, make: Callable[[], Drafter]) -> None:
        self._make = make

    def attach(self, vocabulary: object) -> None:
        pass

    def new(self, likelihood: object) -> Drafter:
        return self._make()

    def detach(self) -> None:
        pass

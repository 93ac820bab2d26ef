"""Licences of models: what the user is shown before a model is fetched, shared or carried away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..catalogue.cards import Card

# Names of licences as hubs write them, whose duties begin with passing a model on.
PERMISSIVE = frozenset(
    {"apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "mit", "unlicense"}
)

_NOT_STATED = "not stated"


@dataclass(frozen=True)
class License:
    """Licence of a model: its name as the hub, the card or the file states it, the link to its text, its important
    terms, and a sentence for whoever passes the weights on. Each may be empty.
    """

    name: str = ""
    link: str = ""
    summary: str = ""
    passing_on: str = ""

    @classmethod
    def of_card(cls, card: Card) -> License:
        """Licence that a card states."""
        return cls(card.license_name, card.license_url, card.license_summary, card.license_passing_on)

    @classmethod
    def from_line(cls, line: str) -> License:
        """Licence from the line that the index keeps."""
        name, _, link = line.partition(": ")
        return cls("" if name == _NOT_STATED else name, link)

    @property
    def needs_consent(self) -> bool:
        """Whether it must be accepted before a model is fetched; an unknown licence must."""
        return self.name.lower() not in PERMISSIVE

    @property
    def line(self) -> str:
        """Name and link, as the index keeps them; "" where neither is known."""
        return ": ".join(filter(None, (self.name, self.link)))

    def __str__(self) -> str:
        name = self.name or _NOT_STATED
        return f"{name}: {self.link}" if self.link else name

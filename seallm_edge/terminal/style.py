"""Looks of text at a terminal: attributes of inline markup, and the escape sequences (SGR, OSC 8) that show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


class Attributes:
    """Attributes of text: integers that are added up where text has several."""

    PLAIN = 0
    STRONG = 1
    EMPHASIS = 2
    STRIKE = 4
    CODE = 8
    LINK = 16
    URL = 32
    HEADING = 64
    QUIET = 128  # marks that are no text: fences, rules, the bars of quotes


class Look(NamedTuple):
    """Look of a part of a line: its attributes, and the address of a link."""

    attributes: int = 0
    url: str = ""


_WITHOUT_COLOURS = {
    Attributes.STRONG: "1",
    Attributes.EMPHASIS: "3",
    Attributes.STRIKE: "9",
    Attributes.CODE: "1",
    Attributes.URL: "4",
    Attributes.HEADING: "1",
    Attributes.QUIET: "2",
}
_WITH_COLOURS = _WITHOUT_COLOURS | {Attributes.CODE: "36", Attributes.HEADING: "1;35"}


@dataclass(frozen=True)
class Style:
    """Style of rendered text: colours or none, and whether links become hyperlinks (OSC 8) instead of "text (url)"."""

    colours: bool = True
    hyperlinks: bool = False

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Style:
        """Style without colours where NO_COLOR is set; bold and underlined text stay. ref: https://no-color.org"""
        return cls(colours=not environ.get("NO_COLOR"))

    def paint(self, text: str, look: Look) -> str:
        """`text` between the escape sequences of its look; unchanged where the look is plain."""
        if self.hyperlinks and look.url:
            text = f"\x1b]8;;{look.url}\x1b\\{text}\x1b]8;;\x1b\\"
        return self.sgr(text, self._codes(look.attributes))

    @staticmethod
    def sgr(text: str, codes: str) -> str:
        """`text` with SGR codes such as "1;35"; unchanged without codes."""
        return f"\x1b[{codes}m{text}\x1b[0m" if codes else text

    def _codes(self, attributes: int) -> str:
        known = self._known_codes
        if attributes not in known:
            table = _WITH_COLOURS if self.colours else _WITHOUT_COLOURS
            codes = (code for attribute, codes in table.items() if attribute & attributes for code in codes.split(";"))
            known[attributes] = ";".join(dict.fromkeys(codes))
        return known[attributes]

    @cached_property
    def _known_codes(self) -> dict[int, str]:
        return {}

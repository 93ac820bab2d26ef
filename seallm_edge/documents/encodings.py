"""Text encodings of the 12 languages: detection and strict decoding. A character is never replaced by U+FFFD.

Byte-order marks decide where there are any; otherwise each encoding that can hold the bytes is tried, and the
plausibility of its text decides. Where two different texts are plausible, `is_certain` is False, and the caller asks
the reader. Knows bytes, not files.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..errors import InvalidOption, did_you_mean
from .plausibility import Fit, fit_of, is_text
from .vietnamese import TCVN3, VISCII, VNI, decode_by

_MIN_PLAUSIBILITY = 0.7  # of a text that is taken without asking
# Misfits of a text that is ruled out: so many, and twice those of the best text. Fewer where it is implausible besides.
_MIN_MISFITS, _FEW_MISFITS, _MISFIT_RATIO = 1.5, 0.4, 2.0
_UTF8_DOUBT = 0.25  # misfits of a character that is valid UTF-8, at most: bytes of others rarely are
_LEAST_PLAUSIBLE = 0.15  # below it, bytes are in none of these encodings
_CERTAIN_LETTERS = 3  # letters of three bytes in UTF-8 that fit a language: no accident
_CERTAIN_CHARACTERS = 10  # characters beyond ASCII that are valid UTF-8, in any language
_LEAST_UTF16 = 0.5  # pairs of other bytes make rare but valid Chinese characters
_HEAD = 1 << 18  # bytes that are enough to tell an encoding
_MAX_CANDIDATES = 5
_SAMPLE_CHARACTERS = 60

_DECLARED_WITHIN = 1024  # bytes
_DECLARED = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]+)|^\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w-]+)|^#.{0,40}coding[:=]\s*([\w-]+)",
    re.IGNORECASE | re.MULTILINE,
)
_MARKS = (  # UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32-LE"),
    (codecs.BOM_UTF32_BE, "UTF-32-BE"),
    (codecs.BOM_UTF16_LE, "UTF-16-LE"),
    (codecs.BOM_UTF16_BE, "UTF-16-BE"),
)


class UndecodableText(ValueError):
    """Bytes that an encoding does not hold, or that are no text. The message continues a file's name: "is no text"."""


@dataclass(frozen=True)
class Encoding:
    """Encoding: its name, other names, and its strict decoder, which raises UnicodeError."""

    name: str
    decode: Callable[[bytes], str]
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """Encoding that can hold the bytes: its name, a line of the text in it, and the text's plausibility, 0 to 1."""

    encoding: str
    sample: str
    plausibility: float


@dataclass(frozen=True)
class Decoded:
    """Decoded text, the name of its encoding, and whether no other encoding gives another plausible text."""

    text: str
    encoding: str
    is_certain: bool


@dataclass(frozen=True)
class _Reading:
    encoding: str
    text: str
    fit: Fit

    @property
    def plausibility(self) -> float:
        return self.fit.plausibility


def _codec(name: str, data: bytes) -> str:
    return data.decode(name).removeprefix("\ufeff")


def _composed(name: str, data: bytes) -> str:
    return unicodedata.normalize("NFC", data.decode(name))


def _big5(data: bytes) -> str:
    try:
        return data.decode("cp950")
    except UnicodeDecodeError:
        return data.decode("big5hkscs")


ENCODINGS = (  # of two that give the same text, the first is named
    Encoding("UTF-8", partial(_codec, "utf-8"), ("utf-8-sig", "ascii", "us-ascii")),
    Encoding("Windows-1252", partial(_codec, "cp1252"), ("Latin-1", "ISO-8859-1", "cp1252")),
    Encoding("Windows-874", partial(_codec, "cp874"), ("TIS-620", "cp874", "ISO-8859-11", "Thai")),
    Encoding("Windows-1258", partial(_composed, "cp1258"), ("cp1258",)),
    Encoding("TCVN3", partial(decode_by, TCVN3), ("ABC", "TCVN", "TCVN-5712")),
    Encoding("VISCII", partial(decode_by, VISCII)),
    Encoding("VNI", partial(decode_by, VNI), ("VNI-Windows",)),
    Encoding("GB18030", partial(_codec, "gb18030"), ("GBK", "GB2312", "cp936")),
    Encoding("Big5", _big5, ("cp950", "Big5-HKSCS")),
    Encoding("UTF-16-LE", partial(_codec, "utf-16-le"), ("UTF-16",)),
    Encoding("UTF-16-BE", partial(_codec, "utf-16-be")),
    Encoding("UTF-32-LE", partial(_codec, "utf-32-le"), ("UTF-32",)),
    Encoding("UTF-32-BE", partial(_codec, "utf-32-be")),
)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_BY_NAME = {_key(name): encoding for encoding in ENCODINGS for name in (encoding.name, *encoding.aliases)}


def encoding_by_name(name: str) -> Encoding:
    """Encoding by its name or another of its names, in any case and punctuation. Raises InvalidOption."""
    if (encoding := _BY_NAME.get(_key(name))) is None:
        names = [name for encoding in ENCODINGS for name in (encoding.name, *encoding.aliases)]
        message = f"no encoding is named {name!r}{did_you_mean(name, names)}"
        raise InvalidOption(message, f"the encodings are {', '.join(encoding.name for encoding in ENCODINGS)}")
    return encoding


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    """Text of `data` in `encoding`, or in the most plausible one. Line ends are kept, a byte-order mark is removed.

    Raises UndecodableText for bytes that are no text, or not in the encoding; InvalidOption for an unknown encoding.
    """
    if encoding is not None:
        return _decode_as(encoding_by_name(encoding), data)
    if marked := _marked(data):
        return _decode_as(marked, data)
    if len(data) > _HEAD and (found := _decode_by_head(data)):
        return found
    best, *others = _readings(data)
    rivals = [other for other in others if other.text != best.text]
    if declared := _as_declared([best, *others], data):
        return Decoded(declared.text, declared.encoding, is_certain=True)
    return Decoded(best.text, best.encoding, _is_certain(best, rivals))


def _decode_by_head(data: bytes) -> Decoded | None:
    """Text in the encoding of its first lines; None where they do not tell it for certain, or the rest is not in it."""
    head = data[: data.rfind(b"\n", 0, _HEAD) + 1]
    if head.isascii():
        return None
    try:
        found = decode(head)
        text = encoding_by_name(found.encoding).decode(data)
    except (UndecodableText, UnicodeError):
        return None
    return Decoded(text, found.encoding, is_certain=True) if found.is_certain and is_text(text) else None


def candidates(data: bytes) -> list[Candidate]:
    """Encodings that can hold `data`, the most plausible first, each text once. Raises UndecodableText for no text."""
    if marked := _marked(data):
        text = _decode_as(marked, data).text
        return [Candidate(marked.name, _sample_line(text), 1.0)]
    found = {reading.text: reading for reading in reversed(_readings(data))}
    best = list(reversed(found.values()))[:_MAX_CANDIDATES]
    return [Candidate(reading.encoding, _sample_line(reading.text), reading.plausibility) for reading in best]


def _decode_as(encoding: Encoding, data: bytes) -> Decoded:
    marked = _marked(data)
    if marked and marked.name.startswith(encoding.name[:6]):
        encoding = marked  # a mark knows the byte order
    try:
        text = encoding.decode(data)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"line {line} has the byte 0x{data[error.start]:02x}"
        raise UndecodableText(f"is not {encoding.name}: {byte}") from error
    if not is_text(text):
        raise UndecodableText(f"is no text in {encoding.name}: it has control characters")
    return Decoded(text, encoding.name, is_certain=True)


def _marked(data: bytes) -> Encoding | None:
    return next((encoding_by_name(name) for mark, name in _MARKS if data.startswith(mark)), None)


def _readings(data: bytes) -> list[_Reading]:
    """Texts of `data` by all encodings without a mark that can hold it, the most plausible first."""
    if _is_printable_ascii(data):
        return [_Reading("UTF-8", data.decode("ascii"), Fit(0, 0.0))]
    found = []
    for encoding in ENCODINGS:
        if encoding.name.startswith("UTF-32") or (text := _try(encoding, data)) is None:
            continue
        reading = _Reading(encoding.name, text, _fit(encoding, text))
        is_utf16 = encoding.name.startswith("UTF-16")
        if reading.plausibility >= (_LEAST_UTF16 if is_utf16 else _LEAST_PLAUSIBLE):
            found.append(reading)
    found.sort(key=lambda reading: -reading.plausibility)
    if not found:
        raise UndecodableText("is binary data, or text in an unknown encoding")
    return found


def _try(encoding: Encoding, data: bytes) -> str | None:
    try:
        text = encoding.decode(data)
    except UnicodeError:
        return None
    return text if is_text(text) else None


def _fit(encoding: Encoding, text: str) -> Fit:
    fit = fit_of(text)
    if encoding.name != "UTF-8":
        return fit
    doubt = 0.0 if fit.n_characters >= _CERTAIN_CHARACTERS else _UTF8_DOUBT * fit.n_characters
    return Fit(fit.n_characters, min(fit.misfits, doubt))


def _is_certain(best: _Reading, rivals: list[_Reading]) -> bool:
    if best.encoding == "UTF-8" and not best.fit.misfits and _n_three_bytes(best.text) >= _CERTAIN_LETTERS:
        return True  # UTF-8 of Lao makes good Thai
    return best.plausibility >= _MIN_PLAUSIBILITY and all(_is_beaten(rival.fit, best.fit) for rival in rivals)


def _n_three_bytes(text: str) -> int:
    return sum(1 for char in text[:_HEAD] if char >= "\u0800" and char.isalpha())


def _is_beaten(rival: Fit, best: Fit) -> bool:
    needed = _FEW_MISFITS if rival.plausibility < _MIN_PLAUSIBILITY else _MIN_MISFITS
    return rival.misfits >= needed + _MISFIT_RATIO * best.misfits


def _as_declared(readings: list[_Reading], data: bytes) -> _Reading | None:
    """Plausible text in the encoding that the text itself names, as HTML, XML and source code do."""
    if not (found := _DECLARED.search(data[:_DECLARED_WITHIN])):
        return None
    declared = _BY_NAME.get(_key(found[found.lastindex or 1].decode("latin-1")))
    plausible = (reading for reading in readings if reading.plausibility >= _MIN_PLAUSIBILITY)
    return next((reading for reading in plausible if declared and reading.encoding == declared.name), None)


def _is_printable_ascii(data: bytes) -> bool:
    return data.isascii() and is_text(data.decode("ascii"))


def _sample_line(text: str) -> str:
    """First line beyond ASCII, around its first such character."""
    line = next((line for line in text.splitlines() if not line.isascii()), "")
    first = next((at for at, char in enumerate(line) if not char.isascii()), 0)
    start = max(0, first - _SAMPLE_CHARACTERS // 3)
    return line[start : start + _SAMPLE_CHARACTERS].strip()

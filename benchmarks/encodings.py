"""Accuracy of encoding detection over text of the 12 languages.

    python benchmarks/encodings.py --text FOLDER [--pieces 100]

FOLDER has a UTF-8 file `LANGUAGE.txt` for each language. Pieces of 1, 3 and 20 lines are encoded in each encoding that
holds them, and detected again. A piece counts as right where the decoded text is the same. "right" is the share of all
pieces; "asked" that of pieces where the detection is uncertain; "first" that of right texts among the asked pieces'
first candidates; "wrong" that of wrong texts called certain, the only failure that a reader does not see.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections import Counter
from pathlib import Path

from seallm_edge.documents.encodings import UndecodableText, decode
from seallm_edge.documents.vietnamese import TCVN3, VISCII, VNI
from seallm_edge.text.languages import LANGUAGES

LINES = (1, 3, 20)
UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
LATIN = ("cp1252",)
LEGACY = {
    "th": ("tis-620", "cp874"),
    "zh": ("gb18030", "gb2312", "cp950"),
    "vi": ("cp1258", "viscii", "tcvn3", "vni"),
    **dict.fromkeys(("en", "id", "ms", "tl", "jv"), LATIN),
}
TABLES = {"viscii": dict(enumerate(VISCII)), "tcvn3": dict(enumerate(TCVN3)), "vni": VNI}


def main() -> None:
    """Print a row for each encoding and language."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--pieces", type=int, default=100, help="at most so many a language and size")
    parser.add_argument("--show", action="store_true", help="print the pieces that are wrong and certain")
    arguments = parser.parse_args()
    print(f"{'encoding':12} {'text':5} {'lines':>5} {'pieces':>7} {'right':>7} {'asked':>7} {'first':>7} {'wrong':>7}")
    for language in LANGUAGES:
        lines = (arguments.text / f"{language.code}.txt").read_text(encoding="utf-8").splitlines()
        for codec in (*UNICODE, *LEGACY.get(language.code, ())):
            for n_lines in LINES:
                row(codec, language.code, n_lines, pieces(lines, n_lines, arguments.pieces), arguments.show)


def pieces(lines: list[str], n_lines: int, most: int) -> list[str]:
    """Texts of `n_lines` lines, spread over all lines."""
    step = max(n_lines, len(lines) // most)
    return ["\n".join(lines[at : at + n_lines]) for at in range(0, len(lines) - n_lines + 1, step)][:most]


def row(codec: str, language: str, n_lines: int, texts: list[str], show: bool) -> None:
    """Print the shares for one encoding, language and size; nothing where it holds no piece beyond ASCII."""
    counts: Counter[str] = Counter()
    for text in texts:
        text = unicodedata.normalize("NFC", text)
        data = encoded(text, codec)
        if data is None or (data.isascii() and codec not in UNICODE):
            continue
        verdict = judged(text, data)
        counts[verdict] += 1
        if show and verdict == "wrong":
            print("   ", decode(data).encoding, ascii(text[:80]))
    if n := counts.total():
        asked = counts["first"] + counts["later"]
        first = f"{counts['first'] / asked:7.1%}" if asked else f"{'':>7}"
        shares = f"{counts['right'] / n:7.1%} {asked / n:7.1%} {first} {counts['wrong'] / n:7.1%}"
        print(f"{codec:12} {language:5} {n_lines:5} {n:7} {shares}")


def judged(text: str, data: bytes) -> str:
    """Outcome: right or wrong where certain; first or later where asked."""
    try:
        found = decode(data)
    except UndecodableText:
        return "later"
    is_right = unicodedata.normalize("NFC", found.text) == text
    if found.is_certain:
        return "right" if is_right else "wrong"
    return "first" if is_right else "later"


def encoded(text: str, codec: str) -> bytes | None:
    """Bytes of `text`; None where the encoding does not hold it."""
    try:
        if codec == "cp1258":
            return b"".join(map(in_windows_1258, text))
        if codec not in TABLES:
            return text.encode(codec)
        return by_table(text, codec)
    except UnicodeEncodeError:
        return None


def in_windows_1258(char: str) -> bytes:
    """Bytes of a character: whole, or its letter and its tone."""
    for form in (char, *parted(char)):
        try:
            return form.encode("cp1258")
        except UnicodeEncodeError:
            continue
    raise UnicodeEncodeError("cp1258", char, 0, 1, "not in it")


def parted(char: str) -> list[str]:
    """Letter with its vowel mark, then its tone."""
    decomposed = unicodedata.normalize("NFD", char)
    return [
        unicodedata.normalize("NFC", decomposed.replace(tone, "")) + tone
        for tone in "\u0300\u0301\u0303\u0309\u0323"
        if tone in decomposed
    ]


def by_table(text: str, codec: str) -> bytes | None:
    """Bytes by the inverse of a decoding table: of a character, or of its parts."""
    inverse = {in_order(char): bytes([byte]) for byte, char in reversed(TABLES[codec].items())}
    found = []
    for char in text:
        forms = [char, *(form for form in parted(char)), unicodedata.normalize("NFD", char)]
        parts = next(([inverse[part] for part in split(form, inverse)] for form in forms if split(form, inverse)), None)
        if parts is None:
            return None
        found.extend(parts)
    return b"".join(found)


def in_order(char: str) -> str:
    """Character; several combining marks in the order of NFD."""
    return unicodedata.normalize("NFD", char) if unicodedata.combining(char[0]) else char


def split(form: str, inverse: dict[str, bytes]) -> list[str]:
    """Parts of `form` that the table has: a letter and all its marks; none where it lacks one."""
    ways = [[form], [form[:1], form[1:]]] if len(form) > 1 else [[form]]
    return next((way for way in ways if all(part in inverse for part in way)), [])


if __name__ == "__main__":
    main()

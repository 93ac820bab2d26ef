"""Update of the catalogues from the messages in the code: `make words`, or `python -m seallm_edge.translations.update`.

It adds messages to every `xx/LC_MESSAGES/seallm.po`, removes those that are gone, marks translations of changed ones as
fuzzy, and compiles the catalogues to `.mo`. The files have no dates, so that the same messages give the same bytes.
Needs babel.
"""

from __future__ import annotations

import io
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from ..text.languages import by_code
from . import DOMAIN, codes

PACKAGE = Path(__file__).parents[1]
_WIDTH = 120
_SOURCES = [("**.py", "python"), ("**.js", "javascript")]
# Number of plural forms, and the form for n. ref: Unicode CLDR, Language Plural Rules; the manual of GNU gettext
PLURALS = dict.fromkeys(codes(), (1, "0")) | {"ta": (2, "(n != 1)"), "tl": (2, "(n > 1)")}


class TranslationCatalogue(Catalog):
    """Catalogue of one language, with a header that has no dates."""

    def __init__(self, code: str) -> None:
        title = f"The chat's own words in {by_code(code).name}. `make words` adds and removes messages here."
        super().__init__(header_comment=f"# {title}", fuzzy=False)
        self._code = code
        self._set_mime_headers([("Plural-Forms", "nplurals={}; plural={};".format(*PLURALS[code]))])

    def _get_mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", self._code),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Plural-Forms", f"{self.plural_forms}\n"),
        ]

    mime_headers = property(_get_mime_headers)


def path_of(code: str, suffix: str) -> Path:
    """Path of a language's catalogue; `suffix` is "po" or "mo"."""
    return Path(__file__).parent / code / "LC_MESSAGES" / f"{DOMAIN}.{suffix}"


def translated_codes() -> list[str]:
    """Codes of the languages that have a catalogue: all but English."""
    return [code for code in codes() if code != "en"]


def messages() -> Catalog:
    """Messages of the code: arguments of `_`, `ngettext` and `marked`."""
    found = Catalog()
    keywords = {**DEFAULT_KEYWORDS, "marked": None}
    sources = extract_from_dir(PACKAGE, _SOURCES, keywords=keywords, comment_tags=["word:"])
    for name, line, message, comments, _context in sources:
        if (PACKAGE / name).parent != Path(__file__).parent:
            found.add(message, None, [(name, line)], auto_comments=comments)
    return found


def read(code: str) -> Catalog:
    """Catalogue of a language as its file has it; empty where there is none."""
    path = path_of(code, "po")
    if not path.exists():
        return TranslationCatalogue(code)
    return read_po(io.BytesIO(path.read_bytes()), domain=DOMAIN, charset="utf-8")


def updated(code: str, template: Catalog) -> TranslationCatalogue:
    """Catalogue with the messages of the template, and the translations that there are."""
    present, result = read(code), TranslationCatalogue(code)
    present.update(template)
    n_forms = PLURALS[code][0]
    for message in present:
        if not message.id:
            continue
        string = message.string
        if isinstance(message.id, tuple):
            given = string if isinstance(string, tuple | list) else (string,)
            string = tuple([*given, *[""] * n_forms][:n_forms])
        result.add(message.id, string, [], message.flags, message.auto_comments, message.user_comments)
    return result


def compiled(catalogue: Catalog) -> bytes:
    """Contents of the `.mo` of a catalogue, without fuzzy translations."""
    file = io.BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def written(catalogue: Catalog) -> bytes:
    """Contents of the `.po` of a catalogue."""
    file = io.BytesIO()
    write_po(file, catalogue, width=_WIDTH, no_location=True, sort_output=True)
    return file.getvalue()


def is_translated(message: Message) -> bool:
    """Whether all forms of a message have a translation that is not fuzzy."""
    forms = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return not message.fuzzy and all(forms)


def main() -> None:
    """Write the catalogues of all languages, and say what is missing in them."""
    template = messages()
    for code in translated_codes():
        catalogue = updated(code, template)
        path_of(code, "po").parent.mkdir(parents=True, exist_ok=True)
        path_of(code, "po").write_bytes(written(catalogue))
        path_of(code, "mo").write_bytes(compiled(catalogue))
        missing = [message.id for message in catalogue if message.id and not is_translated(message)]
        print(f"{code}: {len(catalogue)} messages, {len(missing)} without a translation")
        for message in missing:
            print(f"  {message if isinstance(message, str) else message[0]}")


if __name__ == "__main__":
    main()

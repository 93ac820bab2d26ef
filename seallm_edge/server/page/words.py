"""Words of the page in the user's language: the messages of its modules, from the catalogues of the terminal's chat."""

from __future__ import annotations

import json
import re
from functools import cache

from ... import translations
from ...text.languages import LANGUAGES
from .files import PageFile, page_file, page_files

# Messages of the modules: `_("…")`, the first argument whole.
_MESSAGE = re.compile(r"""\b_\(\s*("(?:[^"\\\n]|\\.)*")""")


@cache
def page_messages() -> tuple[str, ...]:
    """Messages of the page, in English."""
    sources = [file.data.decode() for name, file in sorted(page_files().items()) if name.endswith(".js")]
    return tuple(dict.fromkeys(json.loads(text) for source in sources for text in _MESSAGE.findall(source)))


@cache
def words_file(code: str) -> PageFile:
    """JSON of the translations into a language, by message; those that it has not are left out. Raises KeyError."""
    if code not in translations.codes():
        raise KeyError(code)
    catalogue = translations.catalogue_of(code)
    words = {message: catalogue.gettext(message) for message in page_messages()}
    found = {message: word for message, word in words.items() if word != message}
    return page_file(json.dumps(found, ensure_ascii=False).encode(), "application/json")


def languages() -> list[dict[str, str]]:
    """Languages of the page: code, and name in that language."""
    return [{"code": one.code, "name": one.native_name} for one in LANGUAGES]

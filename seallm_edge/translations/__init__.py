"""Translations of the chat's own words: `_` and `ngettext` in the user's language, from gettext catalogues.

`make words` collects the messages of the code into `xx/LC_MESSAGES/seallm.po` and compiles them to `.mo`. English is in
the code. The library's error messages are not translated. Knows no screen.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from pathlib import Path

from ..text.languages import LANGUAGES

DOMAIN = "seallm"
VARIABLES = ("SEALLM_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides
_ENGLISH = "en"
_OTHER_CODES = {"fil": "tl", "in": "id", "jw": "jv", "bu": "my"}  # Filipino; codes that older systems use

_chosen = ""  # by `use`; "" for the environment's language


def _(message: str) -> str:
    """Translation of a message; the message itself in English, or where it has none."""
    return _catalogue().gettext(message)


def ngettext(one: str, several: str, n: int) -> str:
    """Translation of a message about `n` things, in the plural form that the language has for `n`."""
    return _catalogue().ngettext(one, several, n)


def marked(message: str) -> str:
    """Message as it is, marked for translation: `_` translates it when it is shown."""
    return message


def use(code: str) -> None:
    """Use another language from now on, by its ISO 639-1 code; "" for that of the environment. Raises KeyError."""
    global _chosen
    if code and code not in codes():
        raise KeyError(code)
    _chosen = code


def language() -> str:
    """Code of the language in use."""
    return _chosen or language_of(os.environ)


def codes() -> list[str]:
    """Codes of the languages that there are: English, and those with a catalogue."""
    return [one.code for one in LANGUAGES]


def language_of(environ: Mapping[str, str]) -> str:
    """Code of the language that environment variables ask for; English if there is none, or an unknown one.

    A value is a locale such as vi_VN.UTF-8, or several between colons. ref: GNU gettext manual, "Locale Environment
    Variables"
    """
    value = next((environ[name] for name in VARIABLES if environ.get(name)), "")
    for locale in value.split(":"):
        name = locale.partition(".")[0].partition("@")[0].replace("-", "_").partition("_")[0].lower()
        code = _OTHER_CODES.get(name, name)
        if code in codes():
            return code
    return _ENGLISH


def catalogue_of(code: str) -> gettext.NullTranslations:
    """Catalogue of a language, read once; one without translations for English."""
    return gettext.translation(DOMAIN, str(Path(__file__).parent), [code], fallback=True)


def _catalogue() -> gettext.NullTranslations:
    return catalogue_of(language())

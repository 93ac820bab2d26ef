"""README of an export's folder: how to install, import and chat, in the user's language and in English."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from ...translations import language
from .runtime import Runtime

_WORDS_FILE = "stick_words.toml"
_ENGLISH = "en"


def readme_text(models: Sequence[str], first: str, runtimes: Sequence[Runtime]) -> str:
    """README over `models`, with `first` in its example; line ends are those that every editor on Windows shows."""
    codes = dict.fromkeys((language(), _ENGLISH))
    return "\n\n\n".join(_section(words()[code], models, first, runtimes) for code in codes).replace("\n", "\r\n")


@cache
def words() -> Mapping[str, Mapping[str, str]]:
    """Words of the README by language code."""
    return tomllib.loads((resources.files(__package__) / _WORDS_FILE).read_text(encoding="utf-8"))


def _section(say: Mapping[str, str], models: Sequence[str], first: str, runtimes: Sequence[Runtime]) -> str:
    texts = [f"{say['title']}\n{'=' * 40}", say["contents"], _lines(models)]
    for runtime in runtimes:
        texts += [say["needs"].format(python=runtime.python, system=runtime.system), *runtime.notes]
        texts += [f"1. {say['install']}", _lines(runtime.installing), *_steps(say, runtime.command, first)]
    if not runtimes:
        texts += [f"1. {say['elsewhere']}", *_steps(say, "seallm", first)]
    return "\n\n".join([*texts, say["check"], _lines(["sha256sum -c SHA256SUMS"]), say["license"]]) + "\n"


def _steps(say: Mapping[str, str], seallm: str, first: str) -> list[str]:
    chat = f"{seallm} chat {shlex.quote(first)}"
    return [f"2. {say['import']}", _lines([f"{seallm} import ."]), f"3. {say['chat']}", _lines([chat])]


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)

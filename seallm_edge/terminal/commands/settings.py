"""Commands that change settings: sampling options, what happens when the context is full, the chat's own language."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from ... import translations
from ...chat import ContextBudget, Conversation
from ...errors import InvalidOption, did_you_mean
from ...sampling import Sampling
from ...text.languages import LANGUAGES, by_code
from ...translations import _, marked
from ..printing import tell
from .entry import Entry

_SAMPLING = tuple(field.name for field in dataclasses.fields(Sampling))
_BUDGET = tuple(field.name for field in dataclasses.fields(ContextBudget))
_OTHER_NAMES = {"full": "when_full"}
NAMES = (*_SAMPLING, *_BUDGET)
_NOTHING = ("none", "null")
_TEXTS = ("stop", "when_full")  # whose values need no quotation marks


class Settings:
    """Commands for the settings of the next answers."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def entries(self) -> dict[str, Entry]:
        """Commands of this group."""
        return {
            "/set": Entry(
                "NAME VALUE",
                marked(
                    "change an option of the next answers; without VALUE, back to its default; without NAME, list them"
                ),
                self._set,
            ),
            "/lang": Entry(
                "CODE", marked("change the language of the chat itself; without CODE, list them"), self._lang
            ),
        }

    def _set(self, argument: str) -> None:
        if not argument:
            self._list()
            return
        given, _space, value = argument.partition(" ")
        name = given.replace("-", "_")
        name = _OTHER_NAMES.get(name, name)
        if name in _SAMPLING:
            self._set_sampling(name, value.strip())
        elif name in _BUDGET:
            self._set_budget(name, value.strip())
        else:
            raise InvalidOption(f"no option {given!r}{did_you_mean(name, NAMES)}", "/set lists them")
        tell(_("({name} is now {value})").format(name=name, value=shown(self._value(name))))

    def _set_sampling(self, name: str, value: str) -> None:
        if value:
            parsed = parsed_value(name, value)
            dataclasses.replace(self._present(), **{name: parsed})  # checks the value before it is kept
            self._conversation.sampling[name] = parsed
        else:
            self._conversation.sampling.pop(name, None)

    def _set_budget(self, name: str, value: str) -> None:
        parsed = parsed_value(name, value) if value else getattr(ContextBudget(), name)
        self._conversation.budget = dataclasses.replace(self._conversation.budget, **{name: parsed})

    def _list(self) -> None:
        own = self._conversation.llm.sampling
        for name in _SAMPLING:
            note = _("(the model's own)")
            if self._value(name) != getattr(own, name):
                note = _("(the model's own: {value})").format(value=shown(getattr(own, name)))
            print(f"{name:<17} {shown(self._value(name))}  {note}")
        for name in _BUDGET:
            print(f"{name:<17} {shown(self._value(name))}")

    def _present(self) -> Sampling:
        return self._conversation.llm.sampling.replace(self._conversation.sampling)

    def _value(self, name: str) -> Any:
        return getattr(self._present() if name in _SAMPLING else self._conversation.budget, name)

    def _lang(self, code: str) -> None:
        if not code:
            for one in LANGUAGES:
                print(f"{'*' if one.code == translations.language() else ' '} {one.code}  {one.native_name}")
            return
        try:
            translations.use(code.lower())
        except KeyError:
            known = translations.codes()
            raise InvalidOption(f"no language {code!r}{did_you_mean(code, known)}", "/lang lists them") from None
        name = by_code(translations.language()).native_name
        tell(
            _("(the chat now speaks {language}; SEALLM_LANG={code} keeps it)").format(language=name, code=code.lower())
        )


def parsed_value(name: str, text: str) -> Any:
    """Value that a user typed for an option: a JSON value, or a text; None for "none"."""
    if text.lower() in _NOTHING:
        return None
    if name in _TEXTS and not text.startswith(("[", '"')):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def shown(value: Any) -> str:
    """Value of an option as `parsed_value` reads it."""
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=list)

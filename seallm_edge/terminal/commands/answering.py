"""Commands that choose who answers: the model, its system message, a persona."""

from __future__ import annotations

from collections import Counter

from ...chat import Conversation
from ...chat.personas import find_persona, persona_names
from ...errors import InvalidOption, worded
from ...files.sizes import readable
from ...hints import command_line_words
from ...store import Installed, installed
from ...text.lines import one_line
from ...translations import _, marked
from ..printing import row, tell
from .entry import Entry, Face

_MAX_LINE = 60  # grapheme clusters of a system message in a notice


class Answering:
    """Commands for the model and its system message."""

    def __init__(self, conversation: Conversation, face: Face) -> None:
        self._conversation = conversation
        self._face = face

    def entries(self) -> dict[str, Entry]:
        """Commands of this group."""
        return {
            "/model": Entry("NAME", marked("continue with another model; without NAME, list them"), self._model),
            "/system": Entry(
                "TEXT",
                marked("start a conversation with a system message; without TEXT, the model's"),
                self._system,
            ),
            "/persona": Entry(
                "NAME", marked("start a conversation with a persona; without NAME, list them"), self._persona
            ),
        }

    def _model(self, name: str) -> None:
        if name:
            self._face.change_model(name)
            return
        for name, one in chat_models().items():
            here = "*" if self._is_current(one) else " "
            print(f"{here} {name}  {readable(one.size)}  {one.type_name}".rstrip())

    def _is_current(self, model: Installed) -> bool:
        llm = self._conversation.llm
        return model.path == llm.header.path if llm.header else model.name == llm.name

    def _system(self, text: str) -> None:
        self._conversation.system = text or None
        self._conversation.persona = None
        self._conversation.clear()
        if text:
            tell(_("(a new conversation, with this system message)"))
        else:
            tell(_("(a new conversation, with the model's own system message)"))

    def _persona(self, name: str) -> None:
        if not name:
            for each in persona_names():
                print(row(f"{each:<12}", _system_of(each)))
            return
        persona = find_persona(name)
        self._conversation.system, self._conversation.persona = persona.system, persona.name
        self._conversation.clear()
        system = one_line(persona.system, _MAX_LINE)
        tell(_("(a new conversation with {persona}: {system})").format(persona=name, system=system))


def chat_models() -> dict[str, Installed]:
    """Installed models but for the catalogue's base models, by name: that of the catalogue if only one file has it.
    Reads no file contents.
    """
    models = [one for one in installed() if one.card is None or one.card.chat]
    n_files = Counter(one.card.name for one in models if one.card)
    return {one.card.name if one.card and n_files[one.card.name] == 1 else one.name: one for one in models}


def _system_of(persona: str) -> str:
    """System message of a persona, or what is wrong with its file."""
    try:
        return find_persona(persona).system
    except (InvalidOption, OSError) as error:
        return f"({worded(error, command_line_words).splitlines()[0]})"

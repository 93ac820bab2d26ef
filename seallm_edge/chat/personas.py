"""Personas: named system messages, built in or TOML files in the user's folder. Knows no conversation.

A file NAME.toml holds `system = "…"`; it takes precedence over a built-in persona of the same name.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .. import paths
from ..errors import InvalidOption, did_you_mean
from ..files.text_file import TooLarge, UnreadableText, read_text_file
from ..hints import Hint

_MAX_BYTES = 1 << 16
_SUFFIX = ".toml"


@dataclass(frozen=True)
class Persona:
    """System message with a name; `file` is None for a built-in one."""

    name: str
    system: str
    file: Path | None = None


def persona_names() -> list[str]:
    """Names of all personas: the user's own in alphabetical order, then the built-in ones."""
    own = sorted(path.stem for path in paths.personas_dir().glob(f"*{_SUFFIX}") if path.is_file())
    return [*own, *(name for name in _built_in() if name not in own)]


def find_persona(name: str) -> Persona:
    """Persona of this name. Raises InvalidOption if there is none, or if its file holds no system message."""
    file = paths.personas_dir() / f"{name}{_SUFFIX}"
    if Path(name).name == name and file.is_file():
        return Persona(name, _system_of(file), file)
    built_in = _built_in()
    if name in built_in:
        return Persona(name, built_in[name])
    known = persona_names()
    raise InvalidOption(
        f"no persona named {name!r}{did_you_mean(name, known)}",
        Hint(f"there are: {', '.join(known)}; your own are files in {paths.personas_dir()}"),
    )


def _system_of(file: Path) -> str:
    """System message in a persona's file."""
    try:
        system = tomllib.loads(read_text_file(file, _MAX_BYTES)).get("system")
    except TooLarge as error:
        raise InvalidOption(
            f"{file.name} is larger than {_MAX_BYTES >> 10} KiB", "shorten its system message"
        ) from error
    except UnreadableText as error:
        raise InvalidOption(f"{file.name} {error}", "save it as a text file in UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidOption(f"{file.name} is no TOML: {error}", 'write one line: system = "…"') from error
    if not isinstance(system, str) or not system.strip():
        raise InvalidOption(f"{file.name} has no system message", 'write one line: system = "…"')
    return system


def _built_in() -> dict[str, str]:
    text = resources.files(__package__).joinpath("personas.toml").read_text(encoding="utf-8")
    return {name: table["system"] for name, table in tomllib.loads(text).items()}

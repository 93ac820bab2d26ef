"""`SpeedReport`: figures of a speed measurement, as they are printed, written as JSON, and read again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidOption
from ..files.text_file import UnreadableText, read_text_file
from ..hints import Command, Hint
from .figures import Figure
from .limit import Circumstances, limit_of

FORMAT = 1
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class LanguageSpeed:
    """Speed of a language: characters per token, and the gain by drafting, None where time did not suffice."""

    code: str
    characters_per_token: float
    gain: Figure | None

    def characters_per_second(self, decode: Figure) -> Figure:
        """Characters per second without draft tokens, at the `decode` speed in tokens/s."""
        return decode.scaled(self.characters_per_token)

    def with_drafting(self, decode: Figure) -> Figure | None:
        """Characters per second with draft tokens: each gain at each `decode` speed, so that both spreads count."""
        if self.gain is None:
            return None
        speeds = self.characters_per_second(decode).samples
        return Figure.of([speed * gain for gain in self.gain.samples for speed in speeds])


@dataclass(frozen=True)
class SpeedReport:
    """Speeds of a model on a machine.

    model, machine, settings  facts by name, as JSON values
    prefill, decode           tokens/s: of a prompt of `n_prompt` tokens, and behind it, without draft tokens
    ttft                      seconds to the first token behind that prompt
    bandwidth                 bytes/s of main memory
    memory                    bytes by name: weights, KV cache of 1,000 tokens, peak of the process
    """

    model: Mapping[str, Any]
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    n_prompt: int
    prefill: Figure
    ttft: Figure
    decode: Figure
    bandwidth: Figure
    languages: tuple[LanguageSpeed, ...]
    memory: Mapping[str, int]
    circumstances: Circumstances

    @property
    def figures(self) -> dict[str, Figure]:
        """Measured figures by the names that they have in JSON; languages in characters/s."""
        fixed = {
            f"prefill of {self.n_prompt} tokens, tokens/s": self.prefill,
            f"time to first token after {self.n_prompt} tokens, s": self.ttft,
            "decode, tokens/s": self.decode,
            "memory bandwidth, GB/s": self.bandwidth.scaled(1e-9),
        }
        plain = {
            f"{language.code}, characters/s": language.characters_per_second(self.decode) for language in self.languages
        }
        drafted = {
            f"{language.code} with drafting, characters/s": language.with_drafting(self.decode)
            for language in self.languages
        }
        return fixed | plain | {name: figure for name, figure in drafted.items() if figure}

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        facts, limit = self.circumstances, limit_of(self.circumstances)
        return {
            "format": FORMAT,
            "model": dict(self.model),
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "figures": {name: figure.as_dict() for name, figure in self.figures.items()},
            "languages": {language.code: self._language(language) for language in self.languages},
            "memory": dict(self.memory),
            "weights_per_token_bytes": facts.bytes_per_token,
            "bandwidth_share": round(facts.bandwidth_share, 3),
            "background_load": round(facts.background, 3),
            "page_faults_per_token": facts.faults_per_token,
            "limit": {"kind": limit.kind, "words": limit.words},
        }

    def _language(self, language: LanguageSpeed) -> dict[str, Any]:
        drafted = language.with_drafting(self.decode)
        return {
            "characters_per_token": round(language.characters_per_token, 3),
            "characters_per_second": language.characters_per_second(self.decode).as_dict(),
            "with_drafting": drafted and drafted.as_dict(),
            "drafting_gain": language.gain and language.gain.as_dict(),
        }


class _Damaged(ValueError):
    """Data that is no report."""


@dataclass(frozen=True)
class EarlierReport:
    """Report that was written as JSON before: its figures by name, and its facts."""

    name: str
    fingerprint: str
    model: str
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    figures: Mapping[str, Figure]


def read_report(path: Path) -> EarlierReport:
    """Read a report. Nothing in it is trusted. Raises InvalidOption for another file, a damaged one, or one of another
    format, OSError for one that cannot be read.
    """
    try:
        found = json.loads(read_text_file(path, _MAX_BYTES))
        if not isinstance(found, dict) or "format" not in found:
            raise _Damaged("it is something else")
        if found["format"] != FORMAT:
            raise _Damaged(f"its format is {found['format']!r}, and this version reads {FORMAT}")
        model, machine, settings, figures = (
            _table(found, name) for name in ("model", "machine", "settings", "figures")
        )
        return EarlierReport(
            path.name,
            str(model["fingerprint"]),
            f"{model['name']} {model['type']}",
            machine,
            settings,
            {name: _figure(name, value) for name, value in figures.items()},
        )
    except (ValueError, KeyError, RecursionError) as error:
        problem = _problem(error)
        hint = Hint("write one: {bench} > FILE", bench=Command("bench", ("MODEL", "--json")))
        raise InvalidOption(f"{path.name} is no report of an earlier benchmark: {problem}", hint) from error


def _problem(error: Exception) -> str:
    if isinstance(error, UnreadableText):
        return f"it {error}"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} is no JSON"
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!r}"
    return "its JSON is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _table(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = found[name]
    if not isinstance(table, dict):
        raise _Damaged(f"its {name!r} is no table")
    return table


def _figure(name: str, value: Any) -> Figure:
    samples = value.get("samples") if isinstance(value, dict) else None
    if not isinstance(samples, list) or not samples or not all(map(_is_speed, samples)):
        raise _Damaged(f"the samples of {name!r} are no positive numbers")
    return Figure.of(samples)


def _is_speed(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0

"""Error messages of llguidance as InvalidOption with our messages and hints; nowhere else are they translated."""

from __future__ import annotations

import re

from ..errors import InvalidOption

_POSITION = re.compile(r"^(?:at )?(?:EOF|\d+\(\d+\)): (?:failed to compile JSON schema: )?")
_SOURCE = re.compile(r"\n +\d+ \| |\n<")
_TOO_BIG = (
    "schema too large",
    "initial lexer configuration",
    "lexer precomputation failed",
    "grammar size",
    "panic: assertion failed: grammar.symbols",
    "too many expressions",
    "too many states",
    "fuel exhausted",
    "DNF too large",
    "Unable to determine if regex",
    "Schema intersection stack",
)
_TOO_MANY_READINGS = re.compile(r"(?:[Pp]arser [Ee]rror: )?(?:Too many items|Current row has)")

# llguidance's message → our message, and the hint
_TABLE = (
    (
        re.compile(r"Unimplemented keys: \[(.*?)\]"),
        "the schema uses {}, which is not supported",
        "leave it out, and check the reply for it",
    ),
    (
        re.compile(r"Unknown format: (.*)"),
        'the schema asks for the format "{}", which is unknown',
        "leave it out, or say it as a pattern",
    ),
    (
        re.compile(r"(oneOf) constraints are not supported"),
        "the schema uses {} with options of which two may hold at once, which is not supported",
        "use anyOf, or give each option a constant of its own",
    ),
    (
        re.compile(r"Unsatisfiable schema: (.*)"),
        "nothing satisfies the schema: {}",
        "take out what excludes the rest",
    ),
    (
        re.compile(r"(?:Resource|Pointer) '(?:json-schema://)?(.*?)' (?:is not present|does not exist)"),
        "the schema refers to {}, which is not in it",
        "refer to what stands in the schema itself, as in #/$defs/name",
    ),
    (
        re.compile(r"regex parse error:(?:.*\n)+error: (.*)"),
        "the schema has an unsupported pattern: {}",
        "write it as a simpler regular expression",
    ),
)


def refusal(error: str, what: str, n_tokens: int = 0) -> InvalidOption:
    """InvalidOption for llguidance's `error` on `what`, a schema or a grammar, after `n_tokens` of a reply."""
    said = _SOURCE.split(_POSITION.sub("", error))[0].strip().replace("Expected f64", "expected a number")
    message, hint = _in_our_words(said, what)
    return InvalidOption(message + (f", after {n_tokens:,} tokens" if n_tokens else ""), hint)


def _in_our_words(said: str, what: str) -> tuple[str, str]:
    if not said or said.startswith("NoExtension"):
        return f"no text satisfies the {what}", "take out what excludes the rest"
    if said.startswith(_TOO_BIG):
        return f"the {what} is too big", "make it smaller, or repeat less in it"
    if _TOO_MANY_READINGS.match(said):
        return f"the {what} is too ambiguous", "leave one way to read it: x{0,9}, not x? x? x?"
    for pattern, message, hint in _TABLE:
        if found := pattern.match(said):
            return message.format(_shortened(found[1])), hint
    reason = "llguidance fails on it" if said.startswith("panic: ") else _shortened(said[0].lower() + said[1:])
    return f"the {what} is not supported: {reason}", f"mend the {what}, or make it simpler"


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"

"""`seallm list`: the models on this computer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files.sizes import readable
from .output import diagnostic, plain, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..store import Installed

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_ID_DIGITS = 8


@app.command("list")
def command(
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the models on this computer: size, type, when used and verified, and where from."""
    from ..store import default_model, installed, missing, used_times

    here, chosen, used = installed(), default_model(), used_times()
    gone = [entry for entry in missing() if entry.is_linked]
    described = [describe(model, used) for model in here]
    if json_output:
        lost = [{"path": str(entry.path), "origin": entry.origin} for entry in gone]
        print_json({"models": described, "missing": lost, "default": chosen})
        return
    if here:
        rows = [_row(facts, chosen) for facts in described]
        print_table(("model", "size", "type", "id", "used", "verified", "from"), rows, numbers=("size",))
    else:
        diagnostic("no model is on this computer\n  see what there is: seallm models")
    for entry in gone:
        diagnostic(f"not there now: {plain(str(entry.path))}")


def describe(model: Installed, used: Mapping[str, float]) -> dict[str, Any]:
    """Facts of an installed model; sizes in bytes, times in seconds since 1970. `used` is `store.used_times()`."""
    from ..store.index import relative

    entry = model.entry
    origin = entry.origin if entry and entry.origin else f"pip:{model.package}" if model.package else ""
    return {
        "name": model.name,
        "path": str(model.path),
        "files": [str(file) for file in model.files],
        "size": model.size,
        "type": model.type_name,
        "card": model.card.name if model.card else None,
        "id": model.id,
        "sha256": {file.place.name: file.sha256 for file in entry.files if file.sha256} if entry else {},
        "used": used.get(relative(model.path)),
        "verified": entry.verified if entry else None,
        "added": entry.added if entry else None,
        "origin": origin,
        "license": entry.license if entry else "",
        "linked": bool(entry and entry.is_linked and not model.package),
    }


def _row(facts: dict[str, Any], chosen: str | None) -> tuple[str, ...]:
    from ..store.origins import short

    mark = " (default)" if chosen and chosen.casefold() in (facts["name"].casefold(), facts["card"]) else ""
    place = " (linked)" if facts["linked"] else ""
    return (
        plain(facts["name"]) + mark,
        readable(facts["size"]),
        facts["type"],
        facts["id"][:_ID_DIGITS],
        _day(facts["used"]),
        _day(facts["verified"]),
        plain(short(facts["origin"])) + place,
    )


def _day(seconds: float | None) -> str:
    from ..text.lines import local_minute

    return local_minute(seconds)[:10] if seconds else "never"

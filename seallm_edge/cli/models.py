"""`seallm models`: the catalogue, the models that fit this computer, and the installed files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files.sizes import readable
from .output import plain, print_json, print_table

if TYPE_CHECKING:
    from ..catalogue.cards import Card
    from ..machine import Machine
    from ..store import Installed

app = typer.Typer(add_completion=False, rich_markup_mode=None)

SHOWN_TYPES = ("Q4_K_M", "Q5_K_M", "Q8_0", "F16")  # `seallm show` and --json have the others


@app.command()
def models(
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List the models, and which fit this computer.

    With sizes by type, the working memory beside them, and what is installed.
    """
    from ..catalogue.cards import cards
    from ..machine import this_machine
    from ..store import installed

    machine, here = this_machine(), installed()
    listed = [describe(card, machine, here) for card in cards().values()]
    others = [entry for entry in here if entry.card is None]
    if json_output:
        print_json({"memory_available": machine.memory_available, "models": listed, "other_files": files(others)})
        return
    print_sizes(listed)
    print(
        "\nGB on disk. Memory needed: that and the working memory, here for a context of 2,048 tokens."
        f"\n*: installed. In parentheses: more than the {readable(machine.memory_available)} of memory free now."
    )
    for entry in others:
        print(f"also here: {plain(entry.name)} ({readable(entry.size)})")
    for card in cards().values():
        if card.stand_in:
            print(f"{card.name}: {card.stand_in}.")
    print("Licence, languages and how to get one: seallm show NAME")


def describe(card: Card, machine: Machine, here: list[Installed]) -> dict[str, Any]:
    """Facts of one card on this machine; sizes in bytes."""
    from ..plan.memory import needed_bytes, working_bytes

    return {
        "name": card.name,
        "title": card.title,
        "parameters": card.parameters,
        "chat": card.chat,
        "languages": card.languages,
        "license": {"name": card.license_name, "url": card.license_url, "summary": card.license_summary},
        "source": card.source_url,
        "stand_in": card.stand_in,
        "working_memory": working_bytes(card.shape),
        "types": {
            name: {
                "size": card.size(name),
                "memory_needed": needed_bytes(card, name),
                "fits": needed_bytes(card, name) <= machine.memory_available,
            }
            for name in card.types
        },
        "installed": files([entry for entry in here if entry.card == card]),
    }


def files(entries: list[Installed]) -> list[dict[str, Any]]:
    """Installed files as plain facts."""
    return [{"name": e.name, "path": str(e.path), "size": e.size, "type": e.type_name} for e in entries]


def print_sizes(listed: list[dict[str, Any]]) -> None:
    """Print the models' sizes: a line for each model, a column for each type."""
    special = {name for facts in listed for name in facts["types"] if len(facts["types"]) == 1}
    types = (*sorted(special), *SHOWN_TYPES)
    rows = (
        [
            facts["name"],
            weights(facts["parameters"]),
            *(_cell(facts, name) for name in types),
            readable(facts["working_memory"]),
        ]
        for facts in listed
    )
    headings = ("model", "weights", *types, "working")
    print_table(headings, rows, numbers=headings[1:])


def weights(count: int) -> str:
    """Number of weights in words, such as "7.6 B" or "135 M"."""
    return f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count / 1e6:.0f} M"


def _cell(facts: dict[str, Any], type_name: str) -> str:
    kind = facts["types"].get(type_name)
    if kind is None:
        return ""
    size = f"{kind['size'] / 1e9:.2f}"
    mark = "*" if any(entry["type"] == type_name for entry in facts["installed"]) else ""
    return f"{size}{mark}" if kind["fits"] else f"({size}){mark}"

"""`seallm show`: the metadata of a GGUF, or the card of a model that is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..files.sizes import readable
from . import options
from .output import plain, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..catalogue.cards import Card
    from ..gguf_file import Header, Value

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def show(
    model: options.ModelArgument,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor of the file.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what is in a GGUF, or a model's card.

    A file's metadata and its tensors by type; for a model that is not installed, its card.
    """
    from ..catalogue.cards import match
    from ..errors import ModelNotFound
    from ..gguf_file import read_header
    from ..store import locate, looks_like_path

    try:
        header = read_header(locate(model))
    except ModelNotFound:
        card = match(model)
        if card is None or looks_like_path(model):
            raise
        print_json(card_facts(card)) if json_output else print_card(card)
        return
    if json_output:
        print_json(file_facts(header, tensors))
    else:
        print_file(header, tensors)


def print_file(header: Header, tensors: bool) -> None:
    """Print a GGUF's metadata for people."""
    from ..catalogue.cards import match_header

    card = match_header(header)
    print_facts(_summary(header))
    if card and card.stand_in:
        print(f"{card.title}: {card.stand_in}.")
    print("\nTensors by type")
    rows = ((name, f"{count:,}", readable(size)) for name, (count, size) in header.types().items())
    print_table(("type", "tensors", "size"), rows, numbers=("tensors", "size"))
    if tensors:
        print()
        each = ((plain(t.name), _times(t.shape), t.type_name, readable(t.n_bytes)) for t in header.tensors)
        print_table(("tensor", "shape", "type", "size"), each, numbers=("size",))
    print("\nMetadata")
    print_table(("key", "value"), ((plain(key), _shown(value)) for key, value in header.metadata.items()))


def file_facts(header: Header, tensors: bool) -> dict[str, Any]:
    """Metadata of a GGUF as plain facts; sizes in bytes, arrays by type and count."""
    from ..catalogue.cards import match_header
    from ..catalogue.chatting import chatting
    from ..catalogue.sampling_defaults import shown_sampling
    from ..gguf_file import Array

    card = match_header(header)
    facts: dict[str, Any] = {
        "path": str(header.path),
        "name": header.name,
        "card": card.name if card else None,
        "architecture": header.architecture,
        "type": header.file_type_name,
        "parameters": header.n_params,
        "file_size": header.file_size,
        "context_length": header.context_length,
        "kv_bytes_per_token": header.dimensions.kv_bytes_per_token,
        "chat_format": chatting(header, card).reason,
        "sampling": shown_sampling(header, card),
        "types": {name: {"tensors": n, "bytes": size} for name, (n, size) in header.types().items()},
        "metadata": {
            key: {"items": value.item_type, "count": value.count} if isinstance(value, Array) else value
            for key, value in header.metadata.items()
        },
    }
    if tensors:
        facts["tensors"] = [
            {"name": t.name, "shape": t.shape, "type": t.type_name, "bytes": t.n_bytes} for t in header.tensors
        ]
    return facts


def print_card(card: Card) -> None:
    """Print a card for people."""
    from ..hints import command_line_words
    from ..plan.memory import MIN_CONTEXT
    from ..store import command_to_get
    from ..text.languages import by_code

    facts = [
        ("model", f"{card.title} (not installed)"),
        ("source", card.source_url),
        ("kind", "chat model" if card.chat else "base model: continues a text"),
        ("weights", f"{card.parameters:,}"),
        ("context", f"{card.context_length:,} tokens, {card.shape.kv_bytes_per_token / 1024:.0f} KiB each"),
        ("languages", ", ".join(by_code(code).name for code in card.languages)),
        ("licence", f"{card.license_name}: {card.license_summary}"),
        ("", card.license_url),
        *(("note", note) for note in card.notes),
    ]
    print_facts([*facts, ("note", card.stand_in)] if card.stand_in else facts)
    print(f"\nto get it, once you have read its licence:\n    {command_to_get(card).worded(command_line_words)}\n")
    rows = ((facts["type"], readable(facts["size"]), readable(facts["memory_needed"])) for facts in _types(card))
    headings = ("type", "size", f"memory needed, {MIN_CONTEXT:,} tokens of context")
    print_table(headings, rows, numbers=headings[1:])


def card_facts(card: Card) -> dict[str, Any]:
    """A card as plain facts; what it does not state is left out."""
    from dataclasses import asdict

    stated = asdict(card, dict_factory=lambda items: {key: value for key, value in items if value is not None})
    return {**stated, "parameters": card.parameters, "types": list(_types(card)), "installed": False}


def _types(card: Card) -> Iterator[dict[str, Any]]:
    from ..plan.memory import needed_bytes

    for name in card.types:
        yield {"type": name, "size": card.size(name), "memory_needed": needed_bytes(card, name)}


def _summary(header: Header) -> Iterator[tuple[str, str]]:
    from ..catalogue.chatting import chatting
    from ..catalogue.sampling_defaults import shown_sampling

    yield "file", plain(str(header.path), 1_000)
    yield "name", plain(header.name)
    yield "architecture", plain(header.architecture)
    yield "weights", f"{header.n_params:,} in {len(header.tensors):,} tensors, {header.file_type_name}"
    yield "size", f"{readable(header.file_size)}, {_bits(header):.2f} bits a weight"
    yield "context", f"{header.context_length:,} tokens, {header.dimensions.kv_bytes_per_token / 1024:.1f} KiB each"
    yield "vocabulary", f"{header.dimensions.n_vocab:,} tokens"
    yield "chat format", plain(chatting(header).reason, 500)
    yield "sampling", ", ".join(f"{option} {value:g}" for option, value in shown_sampling(header).items())


def _bits(header: Header) -> float:
    return 8 * header.tensor_bytes / max(header.n_params, 1)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(f"{size:,}" for size in shape)


def _shown(value: Value) -> str:
    from ..gguf_file import Array

    if isinstance(value, Array):
        return f"{value.count:,} x {value.item_type}"
    return plain(value) if isinstance(value, str) else str(value)

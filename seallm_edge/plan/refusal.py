"""NotEnoughMemory for a plan that does not fit, with a hint to the nearest choice that does."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalogue.cards import Card, cards, match_header
from ..errors import NotEnoughMemory
from ..files.sizes import readable
from ..gguf_file import Header
from ..hints import Command, Hint, Option
from ..machine import Gpu, Machine
from .estimate import estimate
from .memory import HEADROOM_BYTES, MIN_CONTEXT, best_type, largest_that_fits
from .options import LoadOptions
from .result import Plan


def refusal(header: Header, machine: Machine, gpus: Sequence[Gpu], options: LoadOptions, plan: Plan) -> NotEnoughMemory:
    """NotEnoughMemory for a plan that does not fit; its hint names a smaller context, type or model."""
    card, free = match_header(header), machine.memory_available
    choice = (
        _smaller_context(header, gpus, options, free)
        or (card and _smaller_type(card, header, free))
        or _smaller_model(card, free, machine)
        or Hint("no model of the catalogue fits; close other programs")
    )
    name = f"{header.path.stem} with a context of {plan.n_ctx:,}"
    hint = choice.then("; {force} loads it all the same", force=Option("force", True))
    needed = plan.main_bytes + HEADROOM_BYTES
    problem = f"{name} needs {readable(needed)} of memory but {readable(free)} is free"
    return NotEnoughMemory(problem, needed, free, hint)


def _smaller_context(header: Header, gpus: Sequence[Gpu], options: LoadOptions, free: int) -> Hint | None:
    """Hint to a smaller context that fits: a power of two below the given one, at least 512 tokens."""
    n_ctx = 1 << ((options.context or 1) - 1).bit_length() >> 1
    while n_ctx >= MIN_CONTEXT // 4:
        if estimate(header, gpus, options, n_ctx, 1).main_bytes + HEADROOM_BYTES <= free:
            return Hint("{context} fits", context=Option("context", n_ctx))
        n_ctx //= 2
    return None


def _smaller_type(card: Card, header: Header, free: int) -> Hint | None:
    name = best_type(card, free, below=header.file_size)
    if not name:
        return None
    convert = Command("convert", ("FOLDER",), (Option("type", name),))
    return Hint(f"{name} of the same model fits: {{convert}}", convert=convert)


def _smaller_model(card: Card | None, free: int, machine: Machine) -> Hint | None:
    kind = card.chat if card else True
    others = (other for other in cards().values() if other != card and other.chat == kind)
    found = largest_that_fits(others, machine)
    return Hint(f"{found[0].name} ({found[1]}) fits in the {readable(free)}") if found else None

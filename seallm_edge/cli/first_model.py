"""First model of this computer: where `seallm chat` finds none, it says what can run here, and gets the chosen one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ..errors import ModelNotFound
from ..files.sizes import readable
from ..translations import _
from . import options
from .output import diagnostic

if TYPE_CHECKING:
    from ..store.pulling.choosing import Free, ModelChoice

_REACHABLE_SECONDS = 2.0
_BYTES_PER_WEIGHT = 2  # of official weights: BF16


def chat_model() -> str:
    """Path of the default chat model; where there is none, a model that the user chooses now is got first.

    Exits with 1 if none is chosen, and where nobody can be asked.
    """
    from ..store import default_chat_model

    try:
        return str(default_chat_model())
    except ModelNotFound as error:
        if error.name:  # the default that the user set, which is gone
            raise
    return _first_model()


def _first_model() -> str:
    from ..hub import is_reachable
    from ..store.pulling.choosing import free_here, runnable_models

    free = free_here()
    models = [model for model in runnable_models(free) if not model.card.stand_in]
    _tell_models(models, free)
    if not options.is_interactive():
        for model in models:
            diagnostic(f"  {row_of(model)}: seallm pull {model.card.name}")
        _tell_other_ways()
    elif not is_reachable(seconds=_REACHABLE_SECONDS):
        diagnostic(_("There is no network now: {hub} does not answer.").format(hub=_hub()))
        _tell_other_ways()
    elif models and (name := _chosen_and_got(models)):
        return name
    else:
        _tell_other_ways()
    raise typer.Exit(1)


def row_of(model: ModelChoice) -> str:
    """Model in one row: name, type, and what it costs in network and disk."""
    network = readable(_BYTES_PER_WEIGHT * model.card.parameters)
    cost = _("{network} over the network, {disk} on the disk")
    size = readable(model.chosen.candidate.size)
    return f"{model.card.name} ({model.chosen.candidate.type_name}): {cost.format(network=network, disk=size)}"


def _tell_models(models: list[ModelChoice], free: Free) -> None:
    memory = readable(free.memory)
    if models:
        diagnostic(
            _("No chat model is here yet. With {memory} of free memory, this computer can run:").format(memory=memory)
        )
    else:
        said = _("No chat model is here yet, and {memory} of free memory are too little for any.")
        diagnostic(said.format(memory=memory))


def _tell_other_ways() -> None:
    from ..catalogue.cards import cards
    from ..hints import command_line_words
    from ..store import command_to_get

    diagnostic(_("From a USB stick: {command}").format(command="seallm import FOLDER"))
    for card in cards().values():
        if card.package:
            command = command_to_get(card).worded(command_line_words)
            diagnostic(_("To try the program with a small English model: {command}").format(command=command))


def _chosen_and_got(models: list[ModelChoice]) -> str | None:
    """Path of the model that the user chose and that was got; None if none was chosen."""
    from ..hub import Network
    from ..store.pulling.pull import plan_pull
    from ..terminal.choosing import choose
    from .conversion import line_with_warnings
    from .pull import Told, get

    place = choose([row_of(model) for model in models])
    if place is None:
        return None
    chosen = models[place]
    with line_with_warnings() as line:
        told = Told(line, f"seallm pull {chosen.card.name}")
        network = Network(on_trouble=told.trouble)
        got = get(plan_pull(chosen.card.name, network=network), told, accept_license=False)
    return str(got.path) if got else None


def _hub() -> str:
    import os

    return os.environ.get("HF_ENDPOINT") or "huggingface.co"

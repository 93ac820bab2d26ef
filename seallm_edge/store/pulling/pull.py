"""Pull of a model: official weights converted while they come, or a ready GGUF, checked and added to the store.

The same call resumes an interrupted one; of two processes that pull the same, the second waits for the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ...catalogue.cards import cards
from ...errors import ModelNotFound
from ...hints import Command, Option
from ...hub import Network, Repository, open_repository, open_url
from .. import index
from ..adding import add, find_content
from ..installed import Installed, installed
from ..locate import how_to_get
from ..origins import repository_of
from .choosing import Free, free_here
from .consent import AcceptLicense, require_consent
from .conversion import conversion, is_checkpoint
from .fetch import Fetch, refuse_pickles
from .lock import Ticket, alone, begun
from .offer import DOWNLOAD, Offer
from .progress import OnProgress, Reporter
from .ready_gguf import gguf_download, models_in, url_download
from .wanted import Wanted, find_here, parse_wanted

OnOffer = Callable[[Offer], None]

_WORTH_MEASURING = 10_000_000  # bytes; below, measuring takes as long as the pull


@dataclass(frozen=True)
class PlannedPull:
    """Planned pull: its offer, and how to carry it out."""

    offer: Offer
    fetch: Fetch = field(repr=False)
    network: Network = field(repr=False)

    def carry_out(self, accept_license: AcceptLicense = False, progress: OnProgress | None = None) -> Installed:
        """Fetch, check and add the model: the installed one. Raises what `pull` raises."""
        fetch, network = self.fetch, self.network
        index.check_writable()  # before hours of network
        require_consent(fetch.license, _bound_to(fetch), accept_license, fetch.title, _accepting(fetch))
        reporter = Reporter(fetch.ticket.progress_file, lambda: network.traffic.n_bytes, progress)
        with alone(fetch.ticket, network.stop, progress):
            if here := _same_here(fetch):  # another process had the lock
                return here
            done = min(fetch.n_done(), fetch.network)
            reporter.begin(done, fetch.network, fetch.network - done)
            got = fetch.fetch(network, reporter)
            facts = {"origin": fetch.ticket.origin, "license": fetch.license.line}
            return add(got.files, **facts, sha256s=got.sha256s, sources=got.sources)


def pull(
    model: str = "",
    *,
    type: str | None = None,  # noqa: A002  the word that llama.cpp and the command use
    gguf: str | None = None,
    revision: str | None = None,
    network: Network | None = None,
    accept_license: AcceptLicense = False,
    anyway: bool = False,
    on_offer: OnOffer | None = None,
    progress: OnProgress | None = None,
) -> Installed:
    """Get a model, and return it installed; a model that is here already is returned at once.

    `model` is the name of a card, "ORG/NAME" on a hub, or the URL of a GGUF; `gguf` names a ready file instead,
    "ORG/NAME" or "ORG/NAME:FILE". Without `type`, the best that fits in free memory and disk. `on_offer` gets what it
    will do and cost before it starts; `accept_license` is True, or a function that is asked about a licence that was
    not accepted before. `anyway` gets what cannot run here. Setting `network.stop` ends the pull from any thread; the
    same call resumes it.

    Raises ModelNotFound, NotEnoughMemory, ConversionError, CheckpointError, ModelFileError, StoreError, HubError and
    InvalidOption.
    """
    planned = plan_pull(model, type=type, gguf=gguf, revision=revision, network=network, anyway=anyway)
    if isinstance(planned, Installed):
        return planned
    if on_offer:
        on_offer(planned.offer)
    return planned.carry_out(accept_license, progress)


def plan_pull(
    model: str = "",
    *,
    type: str | None = None,  # noqa: A002
    gguf: str | None = None,
    revision: str | None = None,
    network: Network | None = None,
    anyway: bool = False,
) -> PlannedPull | Installed:
    """Plan a pull without starting it; the installed model where there is nothing to do. Arguments as for `pull`."""
    wanted = parse_wanted(model, type, gguf, revision)
    if here := find_here(wanted):
        return here
    used = network or Network()
    fetch = resolve(wanted, used, free_here())
    if here := _same_here(fetch):
        return here
    offer = make_offer(fetch, free_here())
    if not anyway:
        offer.check()
    fetch.check()
    return PlannedPull(replace(offer, seconds=_seconds(offer, fetch, used)), fetch, used)


def resolve(wanted: Wanted, network: Network, free: Free) -> Fetch:
    """Way to get what is wanted, as the hub has it now. Raises what `pull` raises before it starts."""
    if wanted.url:
        return url_download(open_url(wanted.url, network), wanted.url)
    if not wanted.repository:
        raise ModelNotFound(wanted.name, known=cards())
    card = wanted.card
    if card and card.package and not wanted.is_gguf and network.endpoint is None:
        raise ModelNotFound(card.name, f"{card.title} comes in a package of its own", how_to_get(card))
    repository = open_repository(wanted.spec, network)
    _check_access(repository)
    ticket = begun(wanted.name)
    if wanted.is_gguf:
        return gguf_download(repository, wanted, network, free, begun=ticket, type_name=wanted.type_name)
    return _by_contents(repository, wanted, ticket, network, free)


def _check_access(repository: Repository) -> None:
    """Raise HubError if a gated repository does not let its user in: before a licence is asked for in vain."""
    if repository.gated and repository.files:
        file = min(repository.files.values(), key=lambda file: (file.size == 0, file.size))
        repository.read_range(file, 0, min(1, file.size))


def _by_contents(repository: Repository, wanted: Wanted, ticket: Ticket | None, network: Network, free: Free) -> Fetch:
    """Download of the GGUF that the repository holds in the right type, else a conversion of its checkpoint."""
    ready = [model.type_name for model in models_in(repository)]
    if is_checkpoint(repository):
        made = conversion(repository, wanted, ticket.type_name if ticket else None, free, network)
        kind = made.ticket.type_name
        if ready.count(kind) != 1:
            return made
        download = gguf_download(repository, wanted, network, free, begun=None, type_name=kind)
        download.reason = made.reason
        return download
    if not ready:
        raise refuse_pickles(repository)
    return gguf_download(repository, wanted, network, free, begun=ticket, type_name=wanted.type_name)


def make_offer(fetch: Fetch, free: Free) -> Offer:
    """Offer of a pull, without the time it takes."""
    done = min(fetch.n_done(), fetch.network)
    return Offer(
        model=fetch.ticket.model,
        title=fetch.title,
        type_name=fetch.ticket.type_name,
        reason=fetch.reason,
        origin=fetch.ticket.origin,
        way=fetch.way,
        network=fetch.network - done,
        resumed=done,
        disk=fetch.disk,
        disk_begun=fetch.ticket.allocated(),
        memory=fetch.memory,
        license=fetch.license,
        free=free,
        card=fetch.card,
    )


def _accepting(fetch: Fetch) -> Option | Command:
    """Way to consent: the whole task for a model by its card's name, which `seallm chat` gets too; else the option."""
    accept, ticket = Option("accept_license", True), fetch.ticket
    if fetch.card is None or ticket.model != fetch.card.name:
        return accept
    kind = () if ticket.is_chosen_here else (Option("type", ticket.type_name),)
    return Command("pull", (ticket.model,), (*kind, accept))


def _bound_to(fetch: Fetch) -> str:
    """Model that a consent is bound to: its card, else its repository, else its name at its origin."""
    if fetch.card:
        return fetch.card.name
    origin = fetch.ticket.origin
    return repository_of(origin) or f"{origin} {fetch.ticket.name}"


def _same_here(fetch: Fetch) -> Installed | None:
    """Installed model with the contents that would be fetched."""
    if fetch.sha256:
        return find_content(fetch.sha256)
    ticket = fetch.ticket
    same = [one for one in installed() if one.entry and one.entry.origin == ticket.origin]
    if fetch.way == DOWNLOAD:  # a repository, or a URL with a query, may hold several of one type
        return next((one for one in same if one.name == ticket.name), None)
    return next((one for one in same if one.type_name == ticket.type_name), None)


def _seconds(offer: Offer, fetch: Fetch, network: Network) -> float | None:
    if offer.network < _WORTH_MEASURING:
        return None
    speed = fetch.speed(network)
    if speed and network.limit:
        speed = min(speed, network.limit.bytes_per_second)
    return offer.network / speed if speed else None

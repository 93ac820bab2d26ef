"""What measuring has found to be fastest for a model on this machine, kept as `Records`.

Nothing is trusted that the file says: what is damaged, strange or out of range is not there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from .. import paths
from ..errors import StoreError
from ..machine import this_machine
from ..native.measurements import measurements

if TYPE_CHECKING:
    from .search import SettingsSearch

_BATCHES = range(16, 2_049)
_GAINS = (1.0, 100.0)
_LAYERS = range(1_000)
_MAX_NAME = 64
_RECORDS = measurements("tuning.json")


@dataclass(frozen=True)
class Tuned:
    """Settings that were measured: CPU `threads`, prompt tokens read at once, whether weights are repacked, the CPU
    variant; `gain` is how many times as fast as the defaults they were, 1.0 where the defaults are the best.
    `gpu_layers` is None where there was no GPU to try.
    """

    threads: int
    n_batch: int
    repack: bool
    variant: str
    gain: float
    gpu_layers: int | None = None


def as_tuned(search: SettingsSearch) -> Tuned:
    """The best settings of a finished search, as they are kept."""
    best = search.best
    layers = best.gpu_layers if "gpu_layers" in search.values else None
    return Tuned(best.threads, best.n_batch, best.repack, best.variant, round(search.gain, 3), layers)


def find(model_fingerprint: str) -> Tuned | None:
    """What was kept for this model on this machine; None if nothing was. Raises EngineError without llama.cpp."""
    return _checked(_RECORDS.find(model_fingerprint))


def keep(model_fingerprint: str, tuned: Tuned) -> None:
    """Keep `tuned` for this model on this machine, in place of what was. Raises StoreError where that is impossible."""
    with _worded():
        _RECORDS.keep(model_fingerprint, asdict(tuned))


def forget(model_fingerprint: str) -> bool:
    """Drop what was kept for this model, on whichever machine; whether there was anything. Raises StoreError."""
    with _worded():
        return _RECORDS.forget(model_fingerprint)


def check_writable() -> None:
    """Raise StoreError where nothing can be kept: better before minutes of measuring than after."""
    with _worded():
        _RECORDS.check_writable()


@contextlib.contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        problem = f"the settings cannot be kept in {paths.cache_dir()}: {error.strerror or error}"
        raise StoreError(problem, "check the disk and its permissions, or set SEALLM_HOME to another folder") from error


def _checked(record: Any) -> Tuned | None:
    if not isinstance(record, dict) or record.keys() != {field.name for field in fields(Tuned)}:
        return None
    threads, n_batch, variant, gain = (record[name] for name in ("threads", "n_batch", "variant", "gain"))
    is_good = (
        type(threads) is int  # a bool is an int too
        and 1 <= threads <= this_machine().cores_usable
        and type(n_batch) is int
        and n_batch in _BATCHES
        and isinstance(record["repack"], bool)
        and isinstance(variant, str)
        and 0 < len(variant) <= _MAX_NAME
        and variant.isprintable()
        and type(gain) in (int, float)
        and _GAINS[0] <= gain <= _GAINS[1]
        and (record["gpu_layers"] is None or (type(record["gpu_layers"]) is int and record["gpu_layers"] in _LAYERS))
    )
    return Tuned(**{**record, "gain": float(gain)}) if is_good else None

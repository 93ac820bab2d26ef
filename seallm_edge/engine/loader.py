"""`Loader`: loads one model by its plan, as often as its worker asks; without its GPU from the moment that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError
from ..plan import Plan
from .contract import ModelInfo, Speculation
from .kv.host_cache import HostKVCache
from .kv.snapshots import Snapshots
from .loaded import Loaded, load
from .stats import Counters

logger = logging.getLogger("seallm_edge.engine")


@dataclass(frozen=True)
class Setup:
    """How a model is loaded: its plan, what it then is for its users, how it drafts, and where its KV states are kept
    over a restart. Neither the costs of steps nor the snapshots of another plan are of use to this one.
    """

    plan: Plan
    info: ModelInfo
    speculation: Speculation
    snapshots: Snapshots | None = None


class Loader:
    """Loader of the model in `path`. `without_gpu`, given the error of a GPU that failed, is the setup to go on with;
    it raises where there is none.
    """

    def __init__(self, path: Path, setup: Setup, without_gpu: Callable[[EngineError], Setup]) -> None:
        self.setup = setup
        self.counters = Counters()
        self._path = path
        self._without_gpu = without_gpu
        self._host_cache = _host_cache(setup)

    def load(self, on_progress: Callable[[float], None] | None = None) -> Loaded:
        """The model, loaded. Raises EngineError if llama.cpp fails."""
        return load(
            self._path,
            self.setup.plan,
            self._host_cache,
            bytes_per_token=self.setup.info.bytes_per_token,
            speculation=self.setup.speculation,
            counters=self.counters,
            on_progress=on_progress,
        )

    def leave_gpu(self, error: EngineError) -> None:
        """Load without the GPU, which failed with `error`, from now on. Raises NotEnoughMemory."""
        self._host_cache.clear()
        setup = self._without_gpu(error)
        self.close()
        self.setup, self._host_cache = setup, _host_cache(setup)
        logger.warning("%s: the GPU failed (%s); going on without it", self._path.name, error.message)

    def close(self) -> None:
        """Wait for snapshots that are being written."""
        if self.setup.snapshots:
            self.setup.snapshots.close()


def _host_cache(setup: Setup) -> HostKVCache:
    return HostKVCache(setup.plan.prefix_cache_bytes, setup.snapshots)

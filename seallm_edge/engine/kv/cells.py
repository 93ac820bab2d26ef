"""`Cells`: reference counts of KV cache cells. Knows no native code.

A cell holds one token of one or more sequences. llama.cpp chooses the cells itself; the scheduler must know how many
are free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Cells:
    """Counts of `n_cells` cells, each free or held once or more."""

    def __init__(self, n_cells: int) -> None:
        self.n_cells = n_cells
        self._holders = [0] * n_cells
        self._free = list(range(n_cells))

    @property
    def n_free(self) -> int:
        """Number of free cells."""
        return len(self._free)

    def take(self, count: int) -> list[int]:
        """Take `count` free cells, held once each. Raises IndexError where there are fewer."""
        taken = [self._free.pop() for _ in range(count)]
        for cell in taken:
            self._holders[cell] = 1
        return taken

    def share(self, cells: Iterable[int]) -> None:
        """Hold `cells` once more."""
        for cell in cells:
            self._holders[cell] += 1

    def give_back(self, cells: Iterable[int]) -> None:
        """Release `cells` once; those held no more are free."""
        for cell in cells:
            self._holders[cell] -= 1
            if not self._holders[cell]:
                self._free.append(cell)

    def n_held_only_by(self, held: Mapping[int, int]) -> int:
        """Number of cells that would be free if the holders counted in `held` (cell → how often) released them."""
        return sum(1 for cell, count in held.items() if self._holders[cell] == count)

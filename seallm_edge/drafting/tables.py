"""Which tables there are for a vocabulary: the built-in one, and those that the user has made."""

from __future__ import annotations

import logging
from pathlib import Path

from .. import paths
from ..errors import DraftTableError
from .table import NgramTable

SUFFIX = ".ngram"
_BUILT_IN = Path(__file__).with_name("tables")
_MOST = 8  # each takes some microseconds a guess

logger = logging.getLogger("seallm_edge")


def tables_for(vocabulary: str) -> list[NgramTable]:
    """The tables for the vocabulary of that fingerprint. One that is damaged is logged and left out."""
    found = []
    for path in [*sorted(_BUILT_IN.glob(f"*{SUFFIX}")), *sorted(paths.draft_tables_dir().glob(f"*{SUFFIX}"))]:
        try:
            table = NgramTable(path)
        except (DraftTableError, OSError) as error:
            logger.warning("no guesses from %s: %s", path.name, error)
            continue
        if table.metadata.vocabulary == vocabulary:
            found.append(table)
    for table in found[_MOST:]:
        logger.warning("no guesses from %s: %d tables are in use already", table.path.name, _MOST)
    return found[:_MOST]

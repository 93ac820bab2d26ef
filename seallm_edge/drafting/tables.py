"""N-gram caches of a vocabulary: the built-in table, and those that the user has made."""

from __future__ import annotations

import logging
from pathlib import Path

from .. import paths
from ..errors import DraftTableError
from .table import StaticNgramCache

SUFFIX = ".ngram"
_BUILT_IN = Path(__file__).with_name("tables")
_MOST = 8  # each takes some microseconds a draft token

logger = logging.getLogger("seallm_edge")


def tables_for(vocabulary: str) -> list[StaticNgramCache]:
    """N-gram caches for the vocabulary of that fingerprint. A damaged file is logged and left out."""
    found = []
    for path in [*sorted(_BUILT_IN.glob(f"*{SUFFIX}")), *sorted(paths.draft_tables_dir().glob(f"*{SUFFIX}"))]:
        try:
            table = StaticNgramCache(path)
        except (DraftTableError, OSError) as error:
            logger.warning("no draft tokens from %s: %s", path.name, error)
            continue
        if table.metadata.vocabulary == vocabulary:
            found.append(table)
    for table in found[_MOST:]:
        logger.warning("no draft tokens from %s: %d tables are in use already", table.path.name, _MOST)
    return found[:_MOST]

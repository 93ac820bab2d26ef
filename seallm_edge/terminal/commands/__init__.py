"""Commands of the chat screen: `/name argument`, one file for each group of them, together in `table.py`."""

from .showing import show_end
from .table import LEAVE, Commands, Entry, Face

__all__ = ["LEAVE", "Commands", "Entry", "Face", "show_end"]

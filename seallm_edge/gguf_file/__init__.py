"""GGUF headers, checked in Python before native code sees the file: `types` → `parse` → `checks` → `reading`.

The result is a `Header`, with the model's `Dimensions`; `splits` finds the parts of a split model, `fingerprint`
distinguishes models.
"""

from .dimensions import Dimensions
from .fingerprint import fingerprint
from .header import Header
from .parse import Array, Place, Tensor, Value
from .reading import read_header, read_parts, read_structure
from .special_tokens import SpecialTokens, special_tokens
from .splits import SPLIT_KEYS, split_name

__all__ = [
    "SPLIT_KEYS",
    "Array",
    "Dimensions",
    "Header",
    "Place",
    "SpecialTokens",
    "Tensor",
    "Value",
    "fingerprint",
    "read_header",
    "read_parts",
    "read_structure",
    "special_tokens",
    "split_name",
]

"""GGUF headers, checked in Python before native code sees the file: `types` → `parse` → `checks` → `header`."""

from .header import Header, read_header
from .parse import Array, Tensor, Value

__all__ = ["Array", "Header", "Tensor", "Value", "read_header"]

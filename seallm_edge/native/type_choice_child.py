"""Runs in a child process: llama.cpp's dry run of a quantization, where a crash hurts nobody. Standard library only.

    type_choice_child.py LIBLLAMA SOURCE PARAMS IMATRIX_OFFSET

PARAMS are the bytes of a llama_model_quantize_params, in hexadecimal. IMATRIX_OFFSET is where in them the pointer to
an importance matrix stands, or -1 for none. llama.cpp's log goes to stdout (what it does) and stderr (warnings and
errors); the exit code is llama.cpp's.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

# ref: ggml/include/ggml.h, enum ggml_log_level; 5 continues the line before
_WARNING, _ERROR, _CONTINUATION = 3, 4, 5


class ImatrixData(ctypes.Structure):
    """struct llama_model_imatrix_data."""

    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.POINTER(ctypes.c_float)), ("size", ctypes.c_size_t)]


def main(libllama: str, source: str, params: str, imatrix_offset: str) -> int:
    """Run llama.cpp's quantizer with these parameters on `source`; its exit code."""
    library = ctypes.CDLL(libllama)
    callback = log_callback()
    library.llama_log_set(callback, None)
    raw = ctypes.create_string_buffer(bytes.fromhex(params))
    # Which tensors it names decides nothing; that there is one decides types.
    entries = (ImatrixData * 2)(ImatrixData(b"any", (ctypes.c_float * 1)(1.0), 1))
    if (offset := int(imatrix_offset)) >= 0:
        ctypes.c_void_p.from_buffer(raw, offset).value = ctypes.addressof(entries)
    quantize = library.llama_model_quantize
    quantize.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)
    quantize.restype = ctypes.c_uint32
    return int(quantize(source.encode(errors="surrogateescape"), b"", raw))


def log_callback() -> Any:
    """llama.cpp's log callback, which writes each piece out at once: the process may die after it."""
    streams = {"now": sys.stdout.buffer}

    @ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)  # type: ignore[untyped-decorator]
    def receive(level: int, text: bytes, _user_data: Any) -> None:
        if level != _CONTINUATION:
            streams["now"] = sys.stderr.buffer if level in (_WARNING, _ERROR) else sys.stdout.buffer
        streams["now"].write(text or b"")
        streams["now"].flush()

    return receive


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

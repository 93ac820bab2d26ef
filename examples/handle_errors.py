"""Errors: a message, a hint that mends it, and the numbers as fields.

$ python examples/handle_errors.py
no model named 'seallms-v3-1.5b-caht'; did you mean 'seallms-v3-1.5b-chat'?
  see them all: seallm_edge.store.installed()
too long by 255 tokens
"""

from seallm_edge import ContextOverflow, ModelNotFound, SeaLLM

try:
    SeaLLM("seallms-v3-1.5b-caht")
except ModelNotFound as error:
    print(error)

with SeaLLM("smollm2-135m-instruct", context=256) as llm:
    try:
        llm.chat("rice and fish " * 160)
    except ContextOverflow as error:
        print(f"too long by {error.n_tokens - error.n_ctx} tokens")

"""Prefix caching in a conversation: the second message reuses the KV cache of the first.

$ python examples/conversation.py
The capital of Japan is Tokyo.
44 of the 59 prompt tokens came from the KV cache
"""

from seallm_edge import Message, SeaLLM

with SeaLLM("smollm2-135m-instruct") as llm:
    messages = [Message("user", "What is the capital of Japan?")]
    reply = llm.chat(messages, temperature=0)
    print(reply.text)

    messages += [Message("assistant", reply.text), Message("user", "And of Italy?")]
    usage = llm.chat(messages, temperature=0, max_tokens=32).usage
    print(f"{usage.cached_tokens} of the {usage.prompt_tokens} prompt tokens came from the KV cache")

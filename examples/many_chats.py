"""Continuous batching of conversations from several threads: their common system message is prefilled once.

$ python examples/many_chats.py
The capital of Japan is Tokyo.
The capital of Thailand is Bangkok.
The capital of Egypt is Cairo.
The capital of Cambodia is Phnom Penh.
of 88 prompt tokens, from the KV cache: [0, 80, 80, 80]
"""

from concurrent.futures import ThreadPoolExecutor

from seallm_edge import Message, Reply, SeaLLM

RULES = (
    "You teach geography. You are asked for capitals, and you answer in one short sentence, such as: The capital of "
    "Peru is Lima. You do not greet, you do not apologize, you do not ask anything back, and you do not tell what else "
    "you know about the country, its history, its people or its cities."
)

with SeaLLM("smollm2-135m-instruct") as llm:

    def ask(country: str) -> Reply:
        return llm.chat(
            [Message("system", RULES), Message("user", f"What is the capital of {country}?")], temperature=0
        )

    with ThreadPoolExecutor() as threads:
        replies = list(threads.map(ask, ["Japan", "Thailand", "Egypt", "Cambodia"]))

for reply in replies:
    print(reply.text)
cached = sorted(reply.usage.cached_tokens for reply in replies)
print(f"of {replies[0].usage.prompt_tokens} prompt tokens, from the KV cache: {cached}")

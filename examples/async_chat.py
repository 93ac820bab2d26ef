"""Asyncio: a stream, concurrent replies in one batch, and a timeout.

$ python examples/async_chat.py
The capital of Japan is Tokyo.
The capital of Thailand is Bangkok.
The capital of Egypt is Cairo.
the story was cancelled after half a second
"""

import asyncio

from seallm_edge import SeaLLM


async def main(llm: SeaLLM) -> None:
    async for text in llm.astream("What is the capital of Japan?", temperature=0):
        print(text, end="", flush=True)
    print()

    questions = [f"What is the capital of {country}?" for country in ("Thailand", "Egypt")]
    for reply in await asyncio.gather(*(llm.achat(question, temperature=0) for question in questions)):
        print(reply.text)

    story = llm.astream("Tell me a long story about the sea.", temperature=0)
    try:
        async with asyncio.timeout(0.5):
            await story.read()
    except TimeoutError:  # asyncio has cancelled the reader, and that has stopped the reply
        print(f"the story was {story.reply.finish_reason} after half a second")


with SeaLLM("smollm2-135m-instruct") as model:
    asyncio.run(main(model))

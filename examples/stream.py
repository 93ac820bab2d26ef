"""Streaming in whole characters, and a reply cancelled by its reader.

$ python examples/stream.py
The capital of Japan is Tokyo.
cancelled after 54 characters: The history of Japan is a tapestry …
"""

from seallm_edge import SeaLLM

with SeaLLM("smollm2-135m-instruct") as llm:  # "seallms-v3-1.5b-chat" once you have converted it
    for text in llm.stream("What is the capital of Japan?", temperature=0):
        print(text, end="", flush=True)
    print()

    with llm.stream("Tell me about the history of Japan.", temperature=0) as lesson:
        for _ in lesson:
            if len(lesson.reply.text) >= 50:
                break

reply = lesson.reply  # as read so far
print(f"{reply.finish_reason} after {reply.usage.reply_characters} characters: {reply.text[:35]}…")

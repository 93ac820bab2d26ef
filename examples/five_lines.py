"""A model answers, in five lines.

$ python examples/five_lines.py
The capital of Japan is Tokyo.
"""

from seallm_edge import SeaLLM

with SeaLLM("smollm2-135m-instruct") as llm:  # "seallms-v3-1.5b-chat" once you have converted it
    for piece in llm.stream("What is the capital of Japan?", temperature=0):
        print(piece, end="", flush=True)
print()

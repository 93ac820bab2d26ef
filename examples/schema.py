"""Structured output: JSON that satisfies a schema, here of a pydantic class (pip install pydantic).

$ python examples/schema.py
{"item": "Mango", "count": 12, "price": 90}
12 at 7.50 each
"""

from pydantic import BaseModel

from seallm_edge import SeaLLM


class Sale(BaseModel):
    """What was sold, and what was paid for all of it."""

    item: str
    count: int
    price: float


with SeaLLM("smollm2-135m-instruct") as llm:
    question = "We sold 12 mangoes for 90 baht. Write it as JSON with item, count and price."
    reply = llm.chat(question, schema=Sale, temperature=0)
    print(reply.text)

if reply.finish_reason == "stop":  # "length": max_tokens was reached, and the JSON is incomplete
    sale = Sale.model_validate_json(reply.text)
    print(f"{sale.count} at {sale.price / sale.count:.2f} each")

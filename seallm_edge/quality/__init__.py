"""Quality of a quantized model, next to the model it was made of."""

"""Quality of a quantized model, compared with its reference."""

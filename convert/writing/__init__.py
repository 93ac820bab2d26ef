"""Writing of GGUF files: layout, the pass over the weights, the journal, and the final rename."""

"""From a plan to files: layout, the pass over the weights, the journal, and names given last."""

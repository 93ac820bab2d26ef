"""The catalogue: one TOML card a checkpoint, and nothing else. `seallm_edge.catalogue` reads them."""

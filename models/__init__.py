"""Cards of the catalogue: one TOML file for each checkpoint. `seallm_edge.catalogue` reads them."""

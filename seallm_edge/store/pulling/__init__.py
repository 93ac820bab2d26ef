"""Getting of models from a hub: what a pull costs, the licence, the transfer, one process at a time."""

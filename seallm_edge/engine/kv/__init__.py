"""KV cache: sequences and their cells, copies in host memory, snapshots on disk."""

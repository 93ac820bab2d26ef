"""Sources of weights: folders, hubs and GGUFs, as files, shards and tensors with their offsets."""

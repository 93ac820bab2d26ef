"""Where weights come from: folders, hubs and GGUFs, as files, shards and tensors at their places."""

"""Safe reading and writing of files: atomic replacement, locks, hashes, disk space, sizes in words."""

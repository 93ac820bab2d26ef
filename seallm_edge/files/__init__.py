"""Files written and read safely: positions, locks, hashes, disk space, sizes in words."""

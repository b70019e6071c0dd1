"""Workers meet miners: what a pool credits a worker, against what the miner that mines for it tells."""

"""Money in and out: the chain, the contracts on it, deposits, batches and claims."""

"""One oracle of the quorum: its own view of prices, its turn to propose, its signature under what it can vouch for."""

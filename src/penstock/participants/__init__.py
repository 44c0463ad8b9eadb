"""Who trades: clients of the public gateway. They know the protocol and the API, never the venue's insides."""

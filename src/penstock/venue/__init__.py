"""Who runs it: clock, journal, sequencer, market data, gateway, keepers, and the node that wires them."""

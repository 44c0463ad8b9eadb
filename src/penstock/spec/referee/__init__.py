"""The referee's meaning: one committed trade entry, re-executed from its witness. The Vyper twin is Referee.vy."""

"""Futures and options beside a recorded market: listed, priced off a stated surface, quoted, traded, expired."""

"""Who appears in a seeded stream: owners of one or more subaccounts, session keys, oracles, a stranger."""

from typing import Final

from penstock.protocol.signing import Signer
from penstock.protocol.words import keccak

SUBACCOUNTS: Final = 10
SMALL: Final = range(7, SUBACCOUNTS + 1)
"""Those who begin with little."""
WHALES: Final = (3, 4)
TAKERS: Final = (5, 6)
CHAIN: Final = 31337
VAULT: Final = b"\x77" * 20


def _signer(role: str) -> Signer:
    return Signer(keccak(role.encode()))


_HOUSES: Final = {1: 2, 7: 8, 9: 8}
"""Subaccounts 1 and 2 have one owner; 7, 8 and 9 another."""
OWNERS: Final = {s: _signer(f"owner {_HOUSES.get(s, s)}") for s in range(1, SUBACCOUNTS + 3)}
KEYS: Final = {(s, k): _signer(f"key {k} of {s}") for s in OWNERS for k in range(2)}
ORACLES: Final = sorted((_signer(f"oracle {i}") for i in range(3)), key=lambda signer: signer.address)
STRANGER: Final = _signer("stranger")
GUARDIAN: Final = _signer("guardian")
GOVERNOR: Final = _signer("governor")
SIGNERS: Final = {s.address: s for s in (*OWNERS.values(), *KEYS.values(), *ORACLES, STRANGER, GUARDIAN, GOVERNOR)}

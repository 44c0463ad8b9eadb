"""What an oracle needs of its venue: whoever wires it says how to reach one."""

from typing import Protocol

from msgspec import Struct

from penstock.protocol.terms import MarketTerms
from penstock.venue.oracle.steps import Price

Levels = tuple[tuple[float, float], ...]
"""(price in USD, size in coin), best first."""


class Seen(Struct, frozen=True):
    """One market as the venue shows it: its committed price, its book, its last price (USD), and whether
    anybody has a position in it."""

    committed: Price
    bids: Levels = ()
    asks: Levels = ()
    last: float | None = None
    is_held: bool = True


class Listed(Struct, frozen=True):
    """What the venue tells of a contract: kind and option type as in `protocol.instruments`, expiry in s, strike in
    USD, and whether it has ended with a settlement price."""

    number: int
    name: str
    base: str
    kind: int
    expiry: int
    strike: float = 0.0
    option_type: int = 0
    ended: bool = False


class VenuePort(Protocol):
    """A venue. Every call raises ConnectionError or TimeoutError when it cannot be reached or does not answer."""

    async def time(self) -> int:
        """Venue time, µs; never ahead of the true one."""

    async def look(self, terms: MarketTerms) -> Seen:
        """The market as it is now."""

    async def listed(self) -> tuple[list[Listed], list[str]]:
        """The dated contracts that the venue says are listed; and of what it said the parts that tell none."""

    async def ends(self, terms: MarketTerms) -> int:
        """When the venue says that a perpetual of the genesis ends, s since 1970; 0 while it has no end."""

    async def submit(self, envelope: bytes) -> list[str]:
        """Send a signed envelope; the reasons for which it was refused, none if it was not."""

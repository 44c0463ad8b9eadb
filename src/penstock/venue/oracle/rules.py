"""What the oracles of one venue agree on beforehand. All of them must run with the same rules."""

from typing import Final

from msgspec import Struct

from penstock.pricing.index import IndexRules
from penstock.pricing.marks import MarkRules
from penstock.pricing.premium import DERIBIT, FundingRules
from penstock.protocol.quantities import MICRO, PPM

MOST_PREMIUM: Final = (1 << 31) - 1
"""Parts in 1e9; a premium is a signed 32-bit number."""


class OracleRules(Struct, frozen=True, kw_only=True):
    """How prices are taken, walked to, proposed and signed.

    `every` is the venue time (s) of one publication of a market. `step_ppm` is the largest move of index or mark in
    one of them, never more than the venue's own bound. `tolerance_ppm` is how far a proposal may be from what its
    signer would have proposed, `premium_tolerance` the same for the premium, as a fraction. A wanted index further
    than `farthest` (a fraction) from the venue's is not walked to. `fresh_for` (s) bounds how old a proposal may be.
    `impact_notional` (USD) is what premium and impact prices are asked for. A view is looked at `view_every` (s) on
    the wall and good for `view_for`; sources have `source_timeout` to answer, the venue `venue_timeout`.

    Of dated contracts: the venue is asked `list_every` (s) which are listed; each is published once in
    `contracts_every` (s of venue time), and `at_once` proposals of them are under way at the most.
    `option_tolerance_ppm` is how far an option's mark may be from what its signer would have proposed, in parts of the
    index. They are priced while venue time is within `clocks_apart` (s) of the oracle's clock.
    """

    index: IndexRules = IndexRules(agreeing=2)
    mark: MarkRules = MarkRules()
    funding: FundingRules = DERIBIT
    every: float = 1.0
    step_ppm: int = 9_000
    tolerance_ppm: int = 2_000
    premium_tolerance: float = 0.001
    premium_seconds: float = 30.0
    farthest: float = 0.5
    fresh_for: float = 5.0
    impact_notional: float = 20_000.0
    view_every: float = 1.0
    view_for: float = 5.0
    source_timeout: float = 3.0
    venue_timeout: float = 2.0
    list_every: float = 5.0
    contracts_every: float = 2.0
    option_tolerance_ppm: int = 2_000
    clocks_apart: float = 60.0
    at_once: int = 16

    def check(self) -> None:
        """Raises ValueError naming the first rule that is out of range."""
        self.index.check()
        self.mark.check()
        self.funding.check()
        limits = {
            "every": (0.05, 60), "step_ppm": (1, PPM), "tolerance_ppm": (1, 100_000), "premium_tolerance": (0, 1),
            "premium_seconds": (0, 3_600), "farthest": (0.01, 100), "fresh_for": (0.05, 60),
            "impact_notional": (1, 1e9), "view_every": (0.01, 60), "view_for": (0.01, 600),
            "source_timeout": (0.01, 60), "venue_timeout": (0.01, 60), "list_every": (0.05, 60),
            "contracts_every": (0.05, 30), "option_tolerance_ppm": (1, 100_000), "clocks_apart": (1, 1e10),
            "at_once": (1, 1_024),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}, wants {low} to {high}")
        if self.view_for < self.view_every:
            raise ValueError(f"view_for is {self.view_for}, wants view_every ({self.view_every}) or more")

    def slot_us(self) -> int:
        """Venue time of one publication, µs."""
        return int(self.every * MICRO)

    def contract_slot_us(self) -> int:
        """Venue time of one publication of a dated contract, µs."""
        return int(self.contracts_every * MICRO)

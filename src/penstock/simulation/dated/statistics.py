"""What was listed, quoted, traded and expired."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from penstock.protocol.instruments import OPTION
from penstock.simulation.dated.plan import AT_THE_MONEY, CURVATURE, SKEW, Contract


class DatedStatistics:
    """Counts since the run began; `traded` and `volume` by kind of contract, volume in USD of premium or price."""

    def __init__(self) -> None:
        self.prices = 0
        self.quotes = 0
        self.builder_paid = 0
        """Markets whose builder was paid."""
        self.refused: Counter[str] = Counter()
        self._listed: Counter[str] = Counter()
        self._trades: Counter[str] = Counter()
        self._volume: Counter[str] = Counter()
        self._expired: list[dict[str, Any]] = []

    def listed(self, contracts: Iterable[Contract]) -> None:
        """Note what is played from now on."""
        self._listed.update(_kind(contract) for contract in contracts)

    def took(self, contract: Contract, size: int, price: float) -> None:
        """A taker's order filled `size` size units at a mean `price` in price units."""
        self._trades[_kind(contract)] += 1
        self._volume[_kind(contract)] += round(size * price)

    def ended(self, contract: Contract, index: float, paid: float) -> None:
        """A contract has expired at this mean index, paying `paid` USD a coin."""
        self._expired.append({"instrument": contract.name, "settlement_index": index, "pays": paid})

    def summary(self) -> dict[str, Any]:
        """As plain numbers, ready for JSON."""
        return {
            "listed": dict(sorted(self._listed.items())),
            "surface": {"at_the_money": AT_THE_MONEY, "skew": SKEW, "curvature": CURVATURE},
            "prices": self.prices,
            "quotes": self.quotes,
            "taker_fills": dict(sorted(self._trades.items())),
            "volume": {kind: units / 1e6 for kind, units in sorted(self._volume.items())},
            "builder_paid": self.builder_paid,
            "refused": dict(sorted(self.refused.items())),
            "expired": sorted(self._expired, key=lambda each: str(each["instrument"])),
        }


def _kind(contract: Contract) -> str:
    return "options" if contract.kind == OPTION else "futures"

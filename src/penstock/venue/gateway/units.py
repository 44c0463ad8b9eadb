"""From units to what people read: JSON numbers where Deribit has them, exact decimal strings where money is stated."""

from decimal import Decimal

from penstock.protocol.quantities import MICRO
from penstock.protocol.terms import MarketTerms


class Units:
    """One market's price unit and size unit as exact ratios, so that a JSON number is the nearest double."""

    def __init__(self, terms: MarketTerms) -> None:
        self._price = terms.price_unit.as_integer_ratio()
        self._size = terms.size_unit.as_integer_ratio()
        self._price_unit = terms.price_unit
        self._size_unit = terms.size_unit

    def price(self, units: int) -> float:
        """USD for a price in price units."""
        return units * self._price[0] / self._price[1]

    def amount(self, units: int) -> float:
        """Coin for a size in size units."""
        return units * self._size[0] / self._size[1]

    def exact_price(self, units: int) -> str:
        """USD as a decimal string."""
        return f"{units * self._price_unit:f}"

    def exact_amount(self, units: int) -> str:
        """Coin as a decimal string."""
        return f"{units * self._size_unit:f}"


def dollars(cash: int) -> float:
    """USD for 1e-6 USDC, as a JSON number."""
    return cash / MICRO


def exact_dollars(cash: int) -> str:
    """USD for 1e-6 USDC, as a decimal string with six places."""
    return f"{Decimal(cash).scaleb(-6):f}"


def hexed(value: bytes) -> str:
    """0x and lower-case hex."""
    return "0x" + value.hex()


def milliseconds(time: int) -> int:
    """Venue µs as the milliseconds of Deribit's dialect."""
    return time // 1000

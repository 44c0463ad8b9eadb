"""What instruments are called, and on which days they may end; Deribit's linear names and calendar."""

from decimal import Decimal
from typing import Final

from penstock.protocol.quantities import div_floor

PERPETUAL: Final = 1
FUTURE: Final = 2
OPTION: Final = 4
KIND_NAMES: Final = {PERPETUAL: "perpetual", FUTURE: "future", OPTION: "option"}
NO_OPTION: Final = 0
CALL: Final = 1
PUT: Final = 2
_LETTERS: Final = {CALL: "C", PUT: "P"}

DAILY: Final = 1
WEEKLY: Final = 2
MONTHLY: Final = 4
QUARTERLY: Final = 8
ALL_DATES: Final = DAILY | WEEKLY | MONTHLY | QUARTERLY
REACH_DAYS: Final = {DAILY: 3, WEEKLY: 21, MONTHLY: 100, QUARTERLY: 400}
"""How far ahead each kind of date may be listed."""

DAY: Final = 86_400
EXPIRY_HOUR: Final = 8 * 3_600
"""Contracts end at 08:00 UTC."""
_FRIDAY: Final = 4
_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def civil(day: int) -> tuple[int, int, int]:
    """Year, month, day of month of the day `day` days after 1 January 1970, in the Gregorian calendar.

    By eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
    """
    shifted = day + 719_468
    era = div_floor(shifted, 146_097)
    of_era = shifted - era * 146_097
    year = div_floor(of_era - div_floor(of_era, 1_460) + div_floor(of_era, 36_524) - div_floor(of_era, 146_096), 365)
    of_year = of_era - (365 * year + div_floor(year, 4) - div_floor(year, 100))
    month = div_floor(5 * of_year + 2, 153)
    of_month = of_year - div_floor(153 * month + 2, 5) + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (month <= 2), month, of_month


def dates_of(expiry: int) -> int:
    """Which kinds of date an expiry (s) is: a bit set; 0 where it is not 08:00 UTC."""
    day, second = div_floor(expiry, DAY), expiry % DAY
    if second != EXPIRY_HOUR:
        return 0
    dates = DAILY
    if (day + 3) % 7 == _FRIDAY:
        dates |= WEEKLY
        month = civil(day)[1]
        if civil(day + 7)[1] != month:
            dates |= MONTHLY | (QUARTERLY if month % 3 == 0 else 0)
    return dates


def is_listable(dates: int, expiry: int, now: int) -> bool:
    """Whether a template of `dates` foresees an expiry (s) at venue time `now` (s)."""
    kinds = dates & dates_of(expiry)
    return expiry > now and any(kinds & kind and expiry - now <= days * DAY for kind, days in REACH_DAYS.items())


def name_of(base: str, kind: int, expiry: int, strike: Decimal, option_type: int) -> str:
    """`BTC_USDC-PERPETUAL`, `BTC_USDC-27MAR27`, `BTC_USDC-27MAR27-100000-C`; a point in a strike is written `d`.

    `strike` in USDC. Perpetuals keep their name when they get an end.
    """
    if kind == PERPETUAL:
        return f"{base}_USDC-PERPETUAL"
    year, month, day = civil(div_floor(expiry, DAY))
    name = f"{base}_USDC-{day}{_MONTHS[month - 1]}{year % 100:02}"
    if kind == FUTURE:
        return name
    number = f"{strike.normalize():f}".replace(".", "d")
    return f"{name}-{number}-{_LETTERS[option_type]}"

"""Numbers that come in: checked against their range, then arrays of one shape."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LONGEST_DISCOUNT: Final = 700.0
"""Largest |rate × time|: beyond it exp(−rate × time) is no float."""


class Terms(NamedTuple):
    """Options of one shape (at least one-dimensional), and the shape their results are given back in."""

    forward: Floats
    strike: Floats
    time: Floats
    is_call: Bools
    discount: Floats
    rate: Floats
    shape: tuple[int, ...]
    other: Floats
    """What prices them: a volatility, or their price."""


def within(name: str, value: ArrayLike, low: float, high: float = np.inf) -> Floats:
    """`value` as floats. Raises ValueError naming it unless all of it is finite and from `low` to `high`."""
    numbers = np.asarray(value, dtype=np.float64)
    wrong = ~((numbers >= low) & (numbers <= high) & np.isfinite(numbers))
    if wrong.any():
        least = "any finite number" if low == -np.inf else f"finite and at least {low:g}"
        most = "" if high == np.inf else f" and at most {high:g}"
        raise ValueError(f"{name} is {numbers[wrong].flat[0]}: must be {least}{most}")
    return numbers


def terms(
    forward: ArrayLike,
    strike: ArrayLike,
    other: Floats,
    time: ArrayLike,
    is_call: ArrayLike,
    rate: ArrayLike,
    lowest: float = 0.0,
) -> Terms:
    """Checked and broadcast. `lowest` is what forward and strike must reach: 0, or −inf for the normal model.

    Raises ValueError naming the field and its range, and where the shapes do not broadcast.
    """
    forwards, strikes = within("forward", forward, lowest), within("strike", strike, lowest)
    times, rates = within("time", time, 0.0), within("rate", rate, -np.inf)
    within("rate × time", rates * times, -LONGEST_DISCOUNT, LONGEST_DISCOUNT)
    calls = np.asarray(is_call)
    if calls.dtype != np.bool_:
        raise ValueError(f"is_call is of {calls.dtype}: must be booleans, True for a call and False for a put")
    shapes = [item.shape for item in (forwards, strikes, other, times, rates, calls)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as mismatch:
        raise ValueError(f"arguments are of shapes {sorted(set(shapes))}: must broadcast to one") from mismatch
    whole = shape or (1,)

    def spread(item: Floats) -> Floats:
        return np.broadcast_to(item, whole)

    discount = np.asarray(np.exp(-rates * times))
    return Terms(
        spread(forwards), spread(strikes), spread(times), np.broadcast_to(calls, whole),
        spread(discount), spread(rates), shape, spread(other),
    )  # fmt: skip

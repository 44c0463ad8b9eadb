"""Numbers that come in: checked against their range, then arrays of one shape."""

import sys
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LONGEST_DISCOUNT: Final = 700.0
"""Largest |rate × time|: beyond it exp(−rate × time) is no float."""
_LARGEST: Final = sys.float_info.max


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


def within(name: str, value: ArrayLike, low: float, high: float = np.inf, *, above: bool = False) -> Floats:
    """`value` as floats. Raises ValueError naming it unless all of it is finite and from `low` to `high`.

    With `above` it must be above `low`. Text, booleans, complex numbers and masked arrays are no numbers.
    """
    numbers = _floats(name, value)
    wrong = ~((numbers >= low) & (numbers <= high) & np.isfinite(numbers))
    if above:
        wrong |= numbers == low
    if wrong.any():
        raise _out_of_range(name, numbers[wrong].flat[0], low, high, above)
    return numbers


def number(name: str, value: ArrayLike, low: float, high: float = np.inf, *, above: bool = False) -> float:
    """`within` for what is one number. Raises ValueError where it is several, too."""
    if isinstance(value, float) or type(value) is int:  # most are: numpy's checks take ten times as long
        if not max(low, -_LARGEST) <= value <= min(high, _LARGEST) or (above and value == low):
            raise _out_of_range(name, value, low, high, above)
        return float(value)
    numbers = within(name, value, low, high, above=above)
    if numbers.ndim:
        raise ValueError(f"{name} is of shape {numbers.shape}: must be one number")
    return float(numbers)


def booleans(name: str, value: ArrayLike) -> Bools:
    """`value` as booleans; an empty list is none of them. Raises ValueError for numbers, text and masked arrays."""
    given = _array(name, value)
    if given.dtype != np.bool_ and given.size:
        raise ValueError(f"{name} is of {given.dtype}: must be booleans, True for a call and False for a put")
    return given.astype(np.bool_, copy=False)


def _array(name: str, value: ArrayLike) -> NDArray[Any]:
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(f"{name} is a masked array: must be without a mask, with what is masked left out")
    try:
        return np.asarray(value)
    except ValueError as ragged:
        raise ValueError(f"{name} has rows of different lengths: must be an array of one shape") from ragged


def _floats(name: str, value: ArrayLike) -> Floats:
    given = _array(name, value)
    whole = given.dtype == np.object_ and all(type(each) is int for each in given.flat)  # too large for numpy's
    if given.dtype.kind not in "iuf" and not whole:
        raise ValueError(f"{name} is of {given.dtype}: must be real numbers")
    try:
        return given.astype(np.float64, copy=False)
    except OverflowError as large:
        raise ValueError(f"{name} is over the largest float: must be at most {_LARGEST:g}") from large


def _out_of_range(name: str, value: float, low: float, high: float, above: bool) -> ValueError:
    if low == -np.inf:
        least = "any finite number" if high == np.inf else "finite"
    else:
        least = f"finite and {'above' if above else 'at least'} {low:g}"
    most = "" if high == np.inf else f" and at most {high:g}"
    return ValueError(f"{name} is {value}: must be {least}{most}")


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
    calls = booleans("is_call", is_call)
    shapes = [item.shape for item in (forwards, strikes, other, times, rates, calls)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError as mismatch:
        raise ValueError(f"arguments are of shapes {sorted(set(shapes))}: must broadcast to one") from mismatch
    whole = shape or (1,)

    def spread(item: Floats) -> Floats:
        return np.broadcast_to(item, whole)

    with np.errstate(over="ignore"):
        exponent = within("rate × time", rates * times, -LONGEST_DISCOUNT, LONGEST_DISCOUNT)
    discount = np.asarray(np.exp(-exponent))
    return Terms(
        spread(forwards), spread(strikes), spread(times), np.broadcast_to(calls, whole),
        spread(discount), spread(rates), shape, spread(other),
    )  # fmt: skip

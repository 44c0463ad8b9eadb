"""Raw SVI by (least variance, left slope, right slope, m, σ), the five that a fit searches.

    w(k) = least − σ√(left × right) + (right − left)/2 (k − m) + (left + right)/2 √((k − m)² + σ²)

This is `svi` with b(1 − ρ) = left, b(1 + ρ) = right and a + bσ√(1 − ρ²) = least: what no arbitrage asks of one
parameter is a bound of one variable. Parameters are in one array, in that order; each may be a column, to broadcast
against k.
"""

import numpy as np

from penstock.pricing.inputs import Floats


def curve(k: Floats, at: Floats) -> Floats:
    """w at each k."""
    least, left, right, m, sigma = at
    x = k - m
    root = np.sqrt(x * x + sigma * sigma)
    return np.asarray(least - sigma * np.sqrt(left * right) + 0.5 * ((right - left) * x + (left + right) * root))


def curve_gradient(k: Floats, at: Floats) -> Floats:
    """∂w/∂parameter: a row for each k, a column for each parameter."""
    _, left, right, m, sigma = at
    x = k - m
    root = np.sqrt(x * x + sigma * sigma)
    both = 0.5 * (left + right)
    columns = (
        np.ones_like(x),
        0.5 * (root - x - sigma * np.sqrt(right / left)),
        0.5 * (root + x - sigma * np.sqrt(left / right)),
        0.5 * (left - right) - both * x / root,
        both * sigma / root - np.sqrt(left * right),
    )
    return np.stack(columns, axis=-1)


def bends(k: Floats, at: Floats) -> tuple[Floats, Floats]:
    """w' and w'' at each k."""
    _, left, right, m, sigma = at
    x = k - m
    root = np.sqrt(x * x + sigma * sigma)
    both = 0.5 * (left + right)
    return 0.5 * (right - left) + both * x / root, both * sigma * sigma / root**3


def bends_gradients(k: Floats, at: Floats) -> tuple[Floats, Floats]:
    """∂w'/∂parameter and ∂w''/∂parameter, as rows and columns."""
    _, left, right, m, sigma = at
    x = k - m
    squared = x * x + sigma * sigma
    root = np.sqrt(squared)
    cube = squared * root
    both = 0.5 * (left + right)
    none, variance = np.zeros_like(x), sigma * sigma
    first = (none, 0.5 * (x / root - 1.0), 0.5 * (x / root + 1.0), -both * variance / cube, -both * x * sigma / cube)
    half = 0.5 * variance / cube
    narrower = both * sigma / cube * (2.0 - 3.0 * variance / squared)
    second = (none, half, half, 3.0 * both * variance * x / (cube * squared), narrower)
    return np.stack(first, axis=-1), np.stack(second, axis=-1)

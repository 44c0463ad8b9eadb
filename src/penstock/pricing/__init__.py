"""What it is worth: Black-76, Greeks, implied volatility and volatility surfaces, in floats, thousands at once."""

from penstock.pricing import bachelier, black, greeks, implied, surface

__all__ = ["bachelier", "black", "greeks", "implied", "surface"]

"""Penstock: a non-custodial derivatives venue. Not audited; not for real money."""

__version__ = "0.1.0"

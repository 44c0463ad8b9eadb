"""Recorded markets and simulated worlds, played through the public gateway like any participant would."""

"""How much is measured: the whole run in six minutes at most, the quick one in one."""

from msgspec import Struct

from bench.stream import Parameters


class Plan(Struct, frozen=True):
    """Sizes of every stage."""

    applied: Parameters
    """The unsigned stream of `apply` and `post-roots`."""
    signed: Parameters
    """The stream whose messages are signed: 1,000 signers."""
    runs: int
    """Repetitions of what is short."""
    spec_commands: int
    """Commands the spec does of the applied stream, and envelopes of the signed one."""
    entries: int
    """Ledger entries whose post-roots are measured."""
    spec_entries: int
    bundles_of_10: int
    bundles_of_64: int
    rounds: int
    """Repetitions of what is long: the journal beside none."""
    options: int
    """Options priced at once."""
    looped: int
    """Of these, what the other libraries price one by one."""
    surfaces: int
    """Volatility surfaces fitted."""


WHOLE = Plan(
    applied=Parameters(accounts=10_000, target=20_000, commands=1_000_000),
    signed=Parameters(accounts=1_000, target=2_000, commands=40_000),
    runs=7, spec_commands=20_000, entries=60_000, spec_entries=1_000, bundles_of_10=2_000, bundles_of_64=320, rounds=5,
    options=10_000, looped=4_000, surfaces=8,
)  # fmt: skip
QUICK = Plan(
    applied=Parameters(accounts=10_000, target=20_000, commands=250_000),
    signed=Parameters(accounts=1_000, target=2_000, commands=12_000),
    runs=5, spec_commands=4_000, entries=20_000, spec_entries=200, bundles_of_10=500, bundles_of_64=80, rounds=3,
    options=10_000, looped=1_000, surfaces=2,
)  # fmt: skip

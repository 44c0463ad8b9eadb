"""What a judgement costs, and that no gas limit changes it.

`python tests/contracts/referee_gas.py --step 1` asks at every gas limit there is, which takes some minutes.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Final

from msgspec import Struct
from referee_scenes import INDEX, ORDINARY, TIME, TO_THE_BRIM, Fullness, Listing, Part, Scene, play, scene, spread
from referee_world import ZERO, Court, call_bytes

from penstock.protocol.instruments import OPTION, PUT
from penstock.protocol.quantities import MICRO
from penstock.settlement.chain import Chain
from penstock.settlement.contract import deploy_contract
from penstock.settlement.contracts import Library
from penstock.settlement.disputes import trade_witness
from penstock.settlement.local_chain import open_chain

DOUBLES: Final = Library(sources=Path(__file__).parent / "doubles")
MOST_GAS: Final = 16_000_000
AT_ONCE: Final = 24_000_000
"""Gas of one eth_call: less than a block's."""
OVERHEAD: Final = 5_000
"""Gas that the probe itself takes a round."""


class Gas(Struct, frozen=True):
    """Gas of the whole transaction, as its receipt says, and the least its calldata costs (EIP-7623)."""

    witness: int
    used: int
    floor: int


class Gauge(Struct, frozen=True):
    """A trade whose judgement is measured, and the gas it may cost."""

    name: str
    limit: int
    make: Callable[[], Scene]

    def measure(self, chain: Chain) -> Gas:
        """Send the question as a transaction. Raises ChainError if it is not answered."""
        court, payload, witness = question(chain, self.make())
        receipt = chain.send(chain.accounts()[1], court.referee.address, payload, gas=MOST_GAS)
        zeros = payload.count(0)
        return Gas(witness, receipt.gas_used, 21_000 + 10 * (zeros + 4 * (len(payload) - zeros)))


class Answers(Struct):
    """How the calls of a sweep ended."""

    failed: int = 0
    honest: int = 0
    convicted: int = 0


def question(chain: Chain, staged: Scene) -> tuple[Court, bytes, int]:
    """A court with the scene's batch committed, the calldata of `judge`, and the witness's length."""
    court, contents = Court(chain, ZERO), staged.contents
    court.commit(contents)
    witness = trade_witness(contents, contents, staged.index, staged.tree.open_trade(contents.entries[staged.index]))
    return court, call_bytes(contents.batch, contents.batch, witness), len(witness)


def sweep(
    chain: Chain, staged: Scene, *, first: int, step: int, show: Callable[[int], None] = lambda _: None
) -> Answers:
    """Ask with `first` gas and then `step` more each time, until twenty more answers than it took have come."""
    court, payload, _ = question(chain, staged)
    probe = deploy_contract(chain, DOUBLES.artifact("GasProbe"), sender=chain.accounts()[0])
    answers, gas = Answers(), first
    while answers.honest + answers.convicted < 20:
        rounds = 1
        while (rounds + 1) * (gas + step * rounds + OVERHEAD) < AT_ONCE:
            rounds += 1
        asked = probe.payload("sweep", court.referee.address, payload, gas, step, rounds)
        counts = [int.from_bytes(word, "big") for word in _words(chain.call(probe.address, asked))]
        answers.failed += counts[0]
        answers.honest += counts[1]
        answers.convicted += counts[2]
        gas += rounds * step
        show(gas)
        assert gas < MOST_GAS, "no amount of gas brings an answer"
    return answers


def _words(returned: bytes) -> list[bytes]:
    return [returned[at : at + 32] for at in range(0, 96, 32)]


def _shared(full: Fullness, **how: bool) -> Scene:
    held = list(range(0, 64, 8))
    return scene(list(range(64)), held, held, 0, full=full, **how)


def _disjoint(full: Fullness, **how: bool) -> Scene:
    return scene(list(range(64)), list(range(0, 64, 8)), list(range(4, 64, 8)), 0, full=full, **how)


def _options(full: Fullness) -> Scene:
    """Every position a put sold, worth more than the index and in a crowd: the dearest there is to weigh."""
    sold = Listing(
        {"kind": OPTION, "expiry": TIME // MICRO + 86_400, "strike": 3 * INDEX, "option_type": PUT},
        {"mark_price": 2 * INDEX, "crowding": 10},
    )
    sides = [Part(holds=dict.fromkeys(range(first, 64, 8), -70_001)) for first in (0, 4)]
    return play(dict.fromkeys(range(64), sold), *sides, 0, full=full, keys=True)


def _scattered(count: int) -> Scene:
    markets = spread(2 * count)
    return scene(markets, markets[::2], markets[1::2], markets[0], full=TO_THE_BRIM, keys=True, bundles=True)


GAUGES: Final = (
    Gauge("one position a side, trees nearly empty", 310_000, lambda: scene([1], [1], [1], 1)),
    Gauge("8 a side, the same of 64 markets", 510_000, lambda: _shared(ORDINARY, keys=True)),
    Gauge("8 a side, no market in common", 600_000, lambda: _disjoint(ORDINARY, keys=True)),
    Gauge(
        "8 a side, none in common, orders in bundles of 64",
        630_000,
        lambda: _disjoint(ORDINARY, keys=True, bundles=True),
    ),
    Gauge("8 a side, none in common, all of them options sold", 625_000, lambda: _options(ORDINARY)),
    Gauge("8 a side, scattered, all trees full to the brim", 910_000, lambda: _scattered(8)),
    Gauge("31 a side, scattered, all trees full to the brim", 2_020_000, lambda: _scattered(31)),
)


def main() -> None:
    """Print what judgements cost; then ask at the gas limits that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=101)
    options = parser.parse_args()
    with open_chain() as chain:
        for gauge in GAUGES:
            gas = gauge.measure(chain)
            print(f"{gauge.name:52} witness {gas.witness:6,} B  gas {gas.used:9,}  calldata floor {gas.floor:9,}")
        started = perf_counter()
        staged = _shared(ORDINARY, keys=True)
        answers = sweep(chain, staged, first=0, step=options.step, show=lambda gas: print(f"\r{gas:,} gas", end=""))
        print(f"\nevery {options.step} gas in {perf_counter() - started:.0f} s: {answers}")


if __name__ == "__main__":
    main()

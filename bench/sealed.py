"""The W4 stream as people send it: every message in an envelope, signed by its session key."""

from msgspec import Struct

from bench.frames import split
from bench.stream import Parameters, Stream
from bench.world import LOTS, MARKS, START, World
from penstock.protocol.commands import GOOD_TIL_CANCELLED, CancelOrder, PlaceOrder
from penstock.protocol.quantities import ANY_FILL, FIRST_ORDER_SLOT, NO_DEADLINE
from penstock.protocol.signing import Signer, pack_envelope, seal, seal_bundle
from penstock.protocol.wire import PackedMessage


class Sealed(Struct, frozen=True):
    """Set-up frames, then the timed commands both as frames and as envelopes."""

    parameters: Parameters
    setup: bytes
    timed: bytes
    envelopes: list[bytes]
    greetings: list[bytes]
    """One envelope of every signer, to learn its key by; never applied."""
    bundles: dict[int, list[bytes]]
    """Envelopes of bundles of orders, by how many orders each holds; never applied."""


def seal_stream(stream: Stream, bundles: dict[int, int]) -> Sealed:
    """Sign the timed commands of a stream, and so many bundles of each length."""
    world = World(stream.parameters.accounts)
    signers = {signer.address: signer for signer in (*world.sessions[1:], world.oracle)}
    return Sealed(
        stream.parameters,
        stream.setup,
        stream.timed,
        [_seal_again(world.separator, message, signers) for _, _, message in split(stream.timed)],
        [seal(world.separator, CancelOrder(1, FIRST_ORDER_SLOT, 1, NO_DEADLINE), [s]) for s in signers.values()],
        {length: [_bundle(world, length, number) for number in range(count)] for length, count in bundles.items()},
    )


def _seal_again(separator: bytes, message: bytes, signers: dict[bytes, Signer]) -> bytes:
    parts = PackedMessage.of(message)
    signature = signers[parts.signers[0]].sign(separator, parts.record_hash)
    return pack_envelope(separator, parts.record, [signature], [])


def _bundle(world: World, length: int, number: int) -> bytes:
    subaccount = 1 + number % world.accounts
    orders = [
        PlaceOrder(
            subaccount, FIRST_ORDER_SLOT + place, START + number, NO_DEADLINE, 0, place % 2, MARKS[0], LOTS[0],
            ANY_FILL, GOOD_TIL_CANCELLED, False, False, 1_000,
        )
        for place in range(length)
    ]  # fmt: skip
    return seal_bundle(world.separator, subaccount, NO_DEADLINE, list(orders), world.sessions[subaccount])

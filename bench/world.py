"""Who trades in a bench: accounts with an owner and a session key each, two markets, one oracle."""

from functools import cached_property
from typing import Final

from msgspec import Struct

from penstock.protocol.commands import ALL_SCOPES, CreditDeposit, GrantSession, PublishPrice, Record
from penstock.protocol.quantities import FIRST_ORDER_SLOT, MICRO, NO_DEADLINE, SLOTS
from penstock.protocol.signing import Domain, Signer, Verified, hash_record
from penstock.protocol.terms import Genesis, default_markets
from penstock.protocol.wire import encode_message
from penstock.protocol.words import keccak

START: Final = 1_700_000_000 * MICRO
"""Venue time before the first command; command n comes n µs later."""
CASH: Final = 1_000_000 * MICRO
MARKS: Final = (600_000, 300_000)
LOTS: Final = tuple(terms.lot for terms in default_markets(0))
_GRANT_SLOT: Final = 1


class World(Struct, frozen=True, dict=True):
    """Subaccounts 1 to `accounts`, each funded and with one session key that signs its orders."""

    accounts: int

    @cached_property
    def oracle(self) -> Signer:
        """Signs prices, alone."""
        return Signer(keccak(b"bench oracle"))

    @cached_property
    def sessions(self) -> list[Signer]:
        """The session key of each subaccount; entry 0 belongs to nobody."""
        return [Signer(keccak(b"bench session %d" % subaccount)) for subaccount in range(self.accounts + 1)]

    @cached_property
    def owners(self) -> list[bytes]:
        """The owner's address of each subaccount. Owners sign nothing but their grant, which is applied as verified."""
        return [keccak(b"bench owner %d" % subaccount)[12:] for subaccount in range(self.accounts + 1)]

    @cached_property
    def genesis(self) -> Genesis:
        """The two default perpetuals under a quorum of one."""
        return Genesis(31337, b"\x77" * 20, default_markets(0), (self.oracle.address,), 1)

    @cached_property
    def separator(self) -> bytes:
        """The EIP-712 domain separator."""
        return Domain(self.genesis.chain_id, self.genesis.vault).separator()

    def deposit(self, subaccount: int) -> bytes:
        """The message that opens and funds a subaccount."""
        return _message(CreditDeposit(subaccount - 1, subaccount, self.owners[subaccount], CASH, 1))

    def grant(self, subaccount: int, nonce: int) -> bytes:
        """The message that lets the subaccount's session key trade and cancel, for a year."""
        record = GrantSession(
            subaccount, _GRANT_SLOT, nonce, NO_DEADLINE, self.sessions[subaccount].address,
            START // MICRO + 31_536_000, FIRST_ORDER_SLOT, SLOTS - 1, ALL_SCOPES, (1 << 64) - 1, 7,
        )  # fmt: skip
        return _message(record, self.owners[subaccount])

    def price(self, market: int, mark: int, time: int) -> bytes:
        """The message that sets index and mark alike."""
        return _message(PublishPrice(market, time, mark, mark), self.oracle.address)


def _message(record: Record, *signers: bytes) -> bytes:
    return encode_message(Verified(record, hash_record(record), signers))

"""The vault's side of money: the chain of deposits, and who was paid what."""

import msgspec

from penstock.settlement.contract import Contract

NO_DEPOSIT = bytes(32)
"""Head of the deposit chain before the first deposit."""


class Deposit(msgspec.Struct, frozen=True):
    """Deposit number `deposit`, from 0: `amount` (1e-6 USDC) for the subaccount, and the chain's head after it."""

    deposit: int
    subaccount: int
    owner: bytes
    amount: int
    head: bytes
    l1_block: int


def deposits(vault: Contract, since_block: int = 0, to_block: int | None = None) -> list[Deposit]:
    """The deposits of these L1 blocks, both ends included, in the vault's order."""
    return [
        Deposit(**{name: event.fields[name] for name in ("deposit", "subaccount", "owner", "amount", "head")},
                l1_block=event.block)
        for event in vault.events("Deposited", since_block, to_block)
    ]  # fmt: skip


def deposit_count(vault: Contract) -> int:
    """How many deposits were made."""
    return int(vault.call("deposit_count"))


def deposit_head_at(vault: Contract, count: int) -> bytes:
    """Head of the chain after `count` deposits. Raises ChainError for deposits not yet made."""
    head: bytes = vault.call("deposit_head_at", count)
    return head


def owner_of(vault: Contract, subaccount: int) -> bytes | None:
    """The subaccount's owner, or None while it is not open."""
    owner: bytes = vault.call("owner_of", subaccount)
    return owner if any(owner) else None


def paid(vault: Contract, subaccount: int) -> int:
    """What the vault has paid out for the subaccount so far, in 1e-6 USDC."""
    return int(vault.call("paid", subaccount))


def held(vault: Contract, token: Contract) -> int:
    """The collateral the vault holds, in 1e-6 USDC."""
    return int(token.call("balanceOf", vault.address))


def open_subaccount(vault: Contract, owner: bytes, amount: int, sender: bytes) -> Deposit:
    """Deposit into a new subaccount of `owner` from `sender`, who has approved the vault. Raises ChainError."""
    receipt = vault.send("open", owner, amount, sender=sender)
    return deposits(vault, receipt.block, receipt.block)[-1]


def top_up(vault: Contract, subaccount: int, amount: int, sender: bytes) -> Deposit:
    """Deposit into an open subaccount from `sender`, who has approved the vault. Raises ChainError."""
    receipt = vault.send("deposit", subaccount, amount, sender=sender)
    return deposits(vault, receipt.block, receipt.block)[-1]

"""Reading L1: deposits become commands, once each, in the Vault's order, only when their block is final enough."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from penstock.protocol.commands import CreditDeposit
from penstock.protocol.reasons import Reason
from penstock.settlement.chain import ChainError
from penstock.settlement.deployment import Deployment
from penstock.settlement.rpc import RpcError
from penstock.settlement.vault import Deposit, deposit_head_at, deposits

Submit = Callable[[CreditDeposit], Awaitable[Reason | None]]


class DepositWatcher:
    """Polls the Vault for deposits with `finality_blocks` confirmations and submits them.

    `submit` returns the engine's reason, None when credited. A deposit the engine has already credited (after a
    restart) is passed over; any other refusal stops the watcher, because the order of deposits is fixed.
    """

    def __init__(self, deployment: Deployment, submit: Submit, finality_blocks: int = 1) -> None:
        self.read_block = deployment.block
        self.credited = 0
        self._last: Deposit | None = None
        self._deployment = deployment
        self._submit = submit
        self._finality_blocks = finality_blocks

    async def poll(self) -> int:
        """Credit what is new; how many deposits that were.

        Raises ChainError, or ValueError for a deposit that the engine refused or L1 has replaced.
        """
        found, until = await asyncio.to_thread(self._read)
        for deposit in found:
            self._last = deposit
            reason = await self._submit(
                CreditDeposit(deposit.deposit, deposit.subaccount, deposit.owner, deposit.amount, deposit.l1_block)
            )
            if reason not in (None, Reason.DEPOSIT_ALREADY_CREDITED):
                raise ValueError(f"deposit {deposit.deposit} of L1 was refused: {reason.name}")
            self.credited += reason is None
        self.read_block = until
        return len(found)

    async def run(self, seconds: float, stop: asyncio.Event, report: Callable[[str], None]) -> None:
        """Poll every `seconds` until `stop` is set; a chain that does not answer is reported and asked again."""
        while not stop.is_set():
            try:
                await self.poll()
            except (ChainError, RpcError, OSError) as error:
                report(f"L1 not read, will try again: {error}")
            await pause(seconds, stop)

    def _read(self) -> tuple[list[Deposit], int]:
        self._check_last()
        head = self._deployment.vault.chain.block().number
        until = head - self._finality_blocks + 1
        if until <= self.read_block:
            return [], self.read_block
        return deposits(self._deployment.vault, self.read_block + 1, until), until

    def _check_last(self) -> None:
        """Raises ValueError when L1 has replaced a deposit that was handed on: a reorganisation beyond finality."""
        if self._last is None:
            return
        try:
            head = deposit_head_at(self._deployment.vault, self._last.deposit + 1)
        except ChainError as error:
            if "deposit not made" not in error.reason:
                raise
            head = b""
        if head != self._last.head:
            raise ValueError(
                f"L1 was reorganised: deposit {self._last.deposit} of subaccount {self._last.subaccount} is gone or "
                f"another; its credit cannot be committed, so the venue stops"
            )


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Wait `seconds`, or until `stop` is set if that comes first."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)

"""The venue without a replay: for your own bots."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from penstock.protocol.signing import Signer
from penstock.simulation.accounts import everybody, local_accounts
from penstock.simulation.dated.plan import next_expiry
from penstock.simulation.demo import charts, console_folder
from penstock.simulation.local_chain import fund, open_local_chain
from penstock.simulation.local_venue import LocalVenue, check_start, dev_clock

MOST_BEFORE: Final = 24 * 60
"""Minutes between two times at which contracts end."""


def first_second(now: int, before_expiry: int | None = None) -> int:
    """Where venue time begins (s): at `now`, or so many minutes before the first 08:00 UTC at least that far ahead.

    Never before `now`, so that what was published in real time lies in the past. Raises ValueError.
    """
    if before_expiry is None:
        return now
    if not 1 <= before_expiry <= MOST_BEFORE:
        raise ValueError(f"before_expiry is {before_expiry}, wants 1 to {MOST_BEFORE} minutes")
    ahead = before_expiry * 60
    return next_expiry(now + ahead - 1) - ahead


class Up:
    """Chain, contracts, funded development accounts and a node, until `stop` is set."""

    def __init__(
        self, port: int, home: Path | None, engine: str, say: Callable[[str], None], before_expiry: int | None = None
    ) -> None:
        """With `before_expiry` venue time begins so many minutes before an 08:00 UTC. Raises ValueError."""
        self.stop = asyncio.Event()
        self._port = port
        self._home = home
        self._engine = engine
        self._say = say
        self._begins = first_second(int(time.time()), before_expiry)
        self._before_expiry = before_expiry

    async def run(self) -> None:
        """Come up, wait, go down. Raises what stopped the node, if it stopped by itself; OSError as `check_start`."""
        check_start(self._home, self._port)
        home = self._home or Path(tempfile.mkdtemp(prefix="penstock-up-"))
        accounts = local_accounts()
        local = await asyncio.to_thread(open_local_chain, accounts, self._begins)
        clock = dev_clock(1.0, None if self._before_expiry is None else self._begins)
        venue = LocalVenue(
            local, home, clock, port=self._port, console=console_folder(), chart_library=charts(),
            engine=self._engine, operator=Signer(accounts.operator),
        )  # fmt: skip
        try:
            self._say(local.chain.describe())
            owners = [trader.owner().address for trader in everybody()]
            await asyncio.to_thread(fund, local, accounts, owners)
            await venue.start()
            venue.node.settle_memory()
            await venue.credited(len(owners))
            self._say(f"vault 0x{local.deployment.vault.address.hex()}, home {home.resolve()}")
            if self._before_expiry is not None:
                self._say(f"the Dev clock began {self._before_expiry} min before an 08:00 UTC, when contracts end")
            self._say(f"open {venue.node.url}")
            while not self.stop.is_set():
                venue.check()
                await asyncio.sleep(0.2)
        finally:
            await venue.stop()
            local.close()
            if self._home is None:
                shutil.rmtree(home, ignore_errors=True)

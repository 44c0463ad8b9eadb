"""The venue without a replay: for your own bots."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from penstock.protocol.signing import Signer
from penstock.simulation.accounts import everybody, local_accounts
from penstock.simulation.demo import charts, console_folder
from penstock.simulation.local_chain import fund, open_local_chain
from penstock.simulation.local_venue import LocalVenue, check_start, dev_clock


class Up:
    """Chain, contracts, funded development accounts and a node, until `stop` is set."""

    def __init__(self, port: int, home: Path | None, engine: str, say: Callable[[str], None]) -> None:
        self.stop = asyncio.Event()
        self._port = port
        self._home = home
        self._engine = engine
        self._say = say

    async def run(self) -> None:
        """Come up, wait, go down. Raises what stopped the node, if it stopped by itself; OSError as `check_start`."""
        check_start(self._home, self._port)
        home = self._home or Path(tempfile.mkdtemp(prefix="penstock-up-"))
        accounts = local_accounts()
        local = await asyncio.to_thread(open_local_chain, accounts, int(time.time()))
        venue = LocalVenue(
            local, home, dev_clock(1.0), port=self._port, console=console_folder(), chart_library=charts(),
            engine=self._engine, operator=Signer(accounts.operator),
        )  # fmt: skip
        try:
            self._say(local.chain.describe())
            owners = [trader.owner().address for trader in everybody()]
            await asyncio.to_thread(fund, local, accounts, owners)
            await venue.start()
            await venue.credited(len(owners))
            self._say(f"vault 0x{local.deployment.vault.address.hex()}, home {home.resolve()}")
            self._say(f"open {venue.node.url}")
            while not self.stop.is_set():
                venue.check()
                await asyncio.sleep(0.2)
        finally:
            await venue.stop()
            local.close()
            if self._home is None:
                shutil.rmtree(home, ignore_errors=True)

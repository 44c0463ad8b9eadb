"""Start a development chain: anvil where npm installed it, otherwise the EVM in this process."""

from pathlib import Path

from penstock.settlement.anvil import AnvilChain, find_anvil
from penstock.settlement.chain import Chain
from penstock.settlement.contracts import repository
from penstock.settlement.in_process import TesterChain


def open_chain(root: Path | None = None, port: int | None = None, start_time: int | None = None) -> Chain:
    """A fresh chain; `describe()` says which form it is.

    `root` is the folder with node_modules, the repository by default; `port` is anvil's, a free one by default;
    `start_time` is the genesis block's time in unix seconds. Raises ChainError when neither form starts.
    """
    program = find_anvil(root or repository())
    return AnvilChain(program, port, start_time) if program else TesterChain(start_time)

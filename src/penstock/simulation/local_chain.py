"""A development L1 for one venue: a fresh chain, the contracts, and traders with money in the vault."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from penstock.protocol.quantities import MICRO
from penstock.protocol.signing import Signer
from penstock.protocol.terms import Genesis, default_markets, default_templates
from penstock.settlement.chain import Chain
from penstock.settlement.contracts import Library
from penstock.settlement.deployment import Deployment, deploy, vault_address
from penstock.settlement.local_chain import open_chain
from penstock.settlement.vault import open_subaccount
from penstock.simulation.accounts import Accounts, roles
from penstock.spec.settlement_tree import SettlementTree
from penstock.spec.state import State

DEV_FINALITY: Final = 5
"""Seconds a batch waits to be final in demos; production is 7 days."""
BOND: Final = 10**18
DEPOSIT: Final = 1_000_000_000 * MICRO
"""Every demo trader's deposit: development tokens, as many as the recorded books need."""
ORACLE_THRESHOLD: Final = 2


class LocalChain(Struct):
    """A chain with the contracts on it, and the genesis that names its vault."""

    chain: Chain
    deployment: Deployment
    genesis: Genesis
    genesis_state: State

    def close(self) -> None:
        """End the chain; its state is gone."""
        self.chain.close()

    def pass_finality(self) -> None:
        """Move the chain's time past the finality window of everything committed."""
        self.chain.set_next_time(self.chain.block().time + DEV_FINALITY + 1)
        self.chain.mine()


def open_local_chain(
    accounts: Accounts, start_time: int, port: int | None = None, root: Path | None = None
) -> LocalChain:
    """Start a chain at `start_time` (unix s) and deploy. Raises ChainError when either fails."""
    chain = open_chain(root, port, start_time)
    try:
        operator = Signer(accounts.operator).address
        oracles = tuple(sorted(Signer(key).address for key in accounts.oracles))
        guardian, governor = (role.address for role in roles())
        genesis = Genesis(
            chain.chain_id, vault_address(chain, operator), default_markets(), oracles, ORACLE_THRESHOLD,
            default_templates(), guardian, governor,
        )  # fmt: skip
        state = State.from_genesis(genesis)
        deployment = deploy(
            chain,
            Library(root),
            operator=operator,
            finality_window=DEV_FINALITY,
            minimum_bond=BOND,
            genesis_root=SettlementTree(state).root(),
            ruleset=state.ruleset,
            dev=True,
        )
    except BaseException:
        chain.close()
        raise
    return LocalChain(chain, deployment, genesis, state)


def fund(
    local: LocalChain, accounts: Accounts, owners: Sequence[bytes], amount: int = DEPOSIT,
    progress: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Mint development tokens and open one subaccount per owner, in order, `amount` (1e-6 USDC) each."""
    payer, token = Signer(accounts.deployer).address, local.deployment.token
    token.send("mint", payer, amount * len(owners), sender=payer)
    token.send("approve", local.deployment.vault.address, amount * len(owners), sender=payer)
    for owner in owners:
        open_subaccount(local.deployment.vault, owner, amount, payer)
        progress()

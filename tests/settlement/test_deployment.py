"""Compiling, deploying, and finding the contracts again."""

import importlib.metadata
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.settlement import contracts
from penstock.settlement.chain import Chain, ChainError
from penstock.settlement.contract import deploy_contract
from penstock.settlement.contracts import CompilerMissing, Library, repository
from penstock.settlement.deployment import Deployment, attach, deploy, vault_address
from penstock.settlement.exits import Claim, ClaimRefused, claim_root
from penstock.settlement.local_chain import open_chain

WEEK = 7 * 86_400


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    with open_chain() as opened:
        yield opened


def deployed(chain: Chain, **changes: object) -> Deployment:
    terms = {
        "operator": chain.accounts()[0],
        "finality_window": 60,
        "minimum_bond": 10**18,
        "genesis_root": b"\x01" * 32,
        "ruleset": b"\x02" * 32,
        "dev": True,
    }
    return deploy(chain, Library(), **(terms | changes))


def test_the_vaults_address_is_known_before_deploying(chain: Chain):
    promised = vault_address(chain, chain.accounts()[0])
    deployment = deployed(chain)
    assert deployment.vault.address == promised == deployment.settlement.call("vault")
    assert deployment.vault.call("SETTLEMENT") == deployment.settlement.address
    assert deployment.vault.call("TOKEN") == deployment.token.address
    assert deployment.settlement.call("operator") == deployment.operator == chain.accounts()[0]


def test_deploying_posts_the_bond(chain: Chain):
    assert deployed(chain).settlement.call("bond") == 10**18
    assert deployed(chain, minimum_bond=0).settlement.call("bond") == 0


def test_development_contracts_say_that_they_are_unsafe(chain: Chain):
    deployment = deployed(chain)
    assert deployment.settlement.call("UNSAFE") is True
    assert deployment.token.call("UNSAFE") is True
    assert deployment.token.call("decimals") == 6


def test_production_needs_a_token_and_its_windows(chain: Chain):
    token = deployed(chain).token.address
    with pytest.raises(ValueError, match="names its token"):
        deployed(chain, dev=False, finality_window=WEEK)
    with pytest.raises(ChainError, match="below 7 days"):
        deployed(chain, dev=False, token=token)
    assert deployed(chain, dev=False, token=token, finality_window=WEEK).token.address == token


def test_deployed_contracts_are_found_again_only_together(chain: Chain):
    one, other = deployed(chain), deployed(chain)
    names = ("token", "vault", "settlement", "referee", "command_referee")
    together = {name: getattr(one, name).address for name in names}
    assert attach(chain, Library(), **together).operator == one.operator
    for name in ("vault", "settlement", "referee", "command_referee"):
        with pytest.raises(ChainError, match="do not belong together"):
            attach(chain, Library(), **(together | {name: getattr(other, name).address}))


def test_a_referee_joins_only_halves_of_one_settlement_and_vault(chain: Chain):
    one, other = deployed(chain), deployed(chain)
    first, sender = one.referee.call("ENTRY_REFEREE"), one.operator
    for settlement, vault in ((other.settlement, one.vault), (one.settlement, other.vault)):
        with pytest.raises(ChainError, match="referee: another"):
            deploy_contract(
                chain, Library().artifact("Referee"), settlement.address, vault.address, first, sender=sender
            )


def test_arguments_are_counted(chain: Chain):
    with pytest.raises(ValueError, match=r"Vault.deposit takes 2 arguments, not 1"):
        deployed(chain).vault.payload("deposit", 1)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder with one contract that imports another file."""
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "part.vy").write_text("@internal\n@pure\ndef _one() -> uint256:\n    return 1\n")
    (tmp_path / "contracts" / "Whole.vy").write_text(
        "import part\n\n@external\n@pure\ndef one() -> uint256:\n    return part._one()\n"
    )
    return tmp_path


def test_a_contract_is_compiled_once(small: Path, monkeypatch: pytest.MonkeyPatch):
    first = Library(small).artifact("Whole")
    monkeypatch.setattr(contracts, "_compile", lambda *_: pytest.fail("compiled again"))
    assert Library(small).artifact("Whole") == first
    assert [entry["name"] for entry in first.abi] == ["one"]


def test_a_change_in_an_import_compiles_again(small: Path):
    first = Library(small).artifact("Whole")
    part = small / "contracts" / "part.vy"
    part.write_text(part.read_text().replace("return 1", "return 2"))
    assert Library(small).artifact("Whole").bytecode != first.bytecode


def test_another_folder_gives_the_same_bytes(small: Path, tmp_path_factory: pytest.TempPathFactory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(small / "contracts", elsewhere / "contracts")
    assert Library(elsewhere).artifact("Whole") == Library(small).artifact("Whole")


def test_a_missing_compiler_is_named(small: Path, monkeypatch: pytest.MonkeyPatch):
    def no_version(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", no_version)
    with pytest.raises(CompilerMissing, match="Vyper compiler"):
        Library(small).artifact("Whole")


def test_a_missing_contract_is_named(small: Path):
    with pytest.raises(FileNotFoundError, match="no contract Absent"):
        Library(small).artifact("Absent")


def test_no_two_sources_differ_by_case_alone():
    """On some systems they would be one file."""
    names = [path.name.lower() for path in (repository() / "contracts").rglob("*.vy*")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("siblings", [0, 35, 37])
def test_a_claim_has_thirty_six_siblings(siblings: int):
    word = bytes(32)
    claim = Claim(1, bytes(128), (word,) * siblings, word, word, word, word, 1)
    with pytest.raises(ClaimRefused, match="36 siblings"):
        claim_root(claim)


def test_a_claim_names_a_subaccount_of_the_tree():
    word = bytes(32)
    claim = Claim(4**12, bytes(128), (word,) * 36, word, word, word, word, 1)
    with pytest.raises(ClaimRefused, match="index out of range"):
        claim_root(claim)

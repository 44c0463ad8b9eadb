"""Money out of the vault, by proof."""

import msgspec
import pytest
from chain_world import Accounts, World, account_leaf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.settlement import vault
from penstock.settlement.chain import Chain, ChainError
from penstock.settlement.exits import Claim, ClaimRefused, Withdrawn, pay, verify_claim

WORDS = ("markets_root", "globals_hash", "deposit_head", "forced_head")
on_chain = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def refused(world: World, claim: Claim) -> str:
    """The reason the vault gives, without mining anything."""
    with pytest.raises(ChainError) as failure:
        world.chain.call(world.vault.address, world.vault.payload("claim", *msgspec.structs.astuple(claim)))
    return failure.value.reason


def test_a_claim_pays_the_owner_what_was_withdrawn_whoever_sends_it(world: World):
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    receipt = pay(world.vault, accounts.claim(1, world.commit_accounts(accounts)), sender=world.stranger)
    assert world.token.call("balanceOf", world.alice) == 300
    assert world.token.call("balanceOf", world.stranger) == 0
    assert vault.held(world.vault, world.token) == 700
    assert vault.paid(world.vault, 1) == 300
    (claimed,) = world.vault.events_in(receipt, "Claimed")
    assert claimed.fields == {"subaccount": 1, "owner": world.alice, "amount": 300, "withdrawn": 300, "number": 1}


def test_a_claim_pays_once(world: World):
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    pay(world.vault, claim, sender=world.alice)
    assert refused(world, claim) == "vault: nothing to claim"


def test_a_newer_root_pays_the_difference_and_the_old_one_nothing_more(world: World):
    world.open(world.alice, 1_000)
    old = Accounts({1: account_leaf(world.alice, 300)})
    old_claim = old.claim(1, world.commit_accounts(old))
    new = Accounts({1: account_leaf(world.alice, 450)})
    new_claim = new.claim(1, world.commit_accounts(new))
    pay(world.vault, old_claim, sender=world.alice)
    pay(world.vault, new_claim, sender=world.alice)
    assert world.token.call("balanceOf", world.alice) == 450
    assert refused(world, old_claim) == refused(world, new_claim) == "vault: nothing to claim"


def test_an_older_final_root_still_pays_what_it_proves(world: World):
    world.open(world.alice, 1_000)
    old = Accounts({1: account_leaf(world.alice, 300)})
    claim = old.claim(1, world.commit_accounts(old))
    world.commit_accounts(Accounts({1: account_leaf(world.alice, 450)}))
    pay(world.vault, claim, sender=world.alice)
    assert vault.paid(world.vault, 1) == 300


def test_a_subaccount_that_withdrew_nothing_claims_nothing(world: World):
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 0)})
    assert refused(world, accounts.claim(1, world.commit_accounts(accounts))) == "vault: nothing to claim"


def test_a_batch_not_committed_pays_nothing(world: World):
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    number = world.commit_accounts(accounts)
    assert refused(world, accounts.claim(1, number + 1)) == "vault: batch is not final"


def test_a_leaf_proves_nothing_at_another_index(world: World):
    world.open(world.alice, 1_000)
    world.open(world.bob, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300), 2: account_leaf(world.bob, 10)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    for other in (0, 2, 5, 1 + 4**11):
        assert refused(world, msgspec.structs.replace(claim, subaccount=other)) == "vault: not in the root"


def test_a_leaf_of_another_owner_than_the_depositor_is_not_paid(world: World):
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.bob, 300)})
    assert refused(world, accounts.claim(1, world.commit_accounts(accounts))) == "vault: wrong owner"


@pytest.mark.parametrize("subaccount", [0, 7], ids=["the insurance fund", "a subaccount never opened"])
def test_a_subaccount_without_an_owner_is_not_paid(world: World, subaccount: int):
    world.open(world.alice, 1_000)
    accounts = Accounts({subaccount: account_leaf(bytes(20), 300)})
    assert refused(world, accounts.claim(subaccount, world.commit_accounts(accounts))) == "vault: wrong owner"


@pytest.mark.parametrize(
    ("length", "positions", "reason"),
    [
        (0, 0, "vault: leaf too short"),
        (31, 0, "vault: leaf too short"),
        (127, 0, "vault: leaf too short"),
        (129, 0, "vault: wrong leaf length"),
        (160, 0, "vault: wrong leaf length"),
        (128, 1, "vault: wrong leaf length"),
        (159, 1, "vault: wrong leaf length"),
        (1120, 32, "vault: wrong leaf length"),
        (1152, 33, "vault: wrong leaf length"),
        (128, 128, "vault: wrong leaf length"),
        (1152, 160, "vault: wrong leaf length"),
    ],
)
def test_a_leaf_of_the_wrong_length_is_not_paid(world: World, length: int, positions: int, reason: str):
    world.open(world.alice, 1_000)
    leaf = (account_leaf(world.alice, 300, positions) + bytes(1152))[:length]
    accounts = Accounts({1: leaf})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    assert refused(world, claim) == reason
    with pytest.raises(ClaimRefused, match=reason):
        verify_claim(claim, accounts.root())


def test_a_leaf_longer_than_any_account_is_refused(world: World):
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300, positions=33)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    assert refused(world, claim)
    with pytest.raises(ClaimRefused, match="wrong leaf length"):
        verify_claim(claim, accounts.root())


def test_a_node_of_the_tree_does_not_pass_for_a_leaf(world: World):
    """128 bytes of children are as long as an account without positions; only the first byte differs."""
    world.open(world.alice, 1_000)
    forged = account_leaf(world.alice, 300)
    accounts = Accounts({})
    for child in range(4):
        accounts.tree.set(4 + child, forged[32 * child : 32 * child + 32])
    number = world.commit_accounts(accounts)
    siblings = (*accounts.tree.proof(4)[3:], *[bytes(32)] * 3)
    claim = msgspec.structs.replace(Accounts({1: forged}).claim(1, number), siblings=siblings)
    assert refused(world, claim) == "vault: not in the root"


@pytest.mark.parametrize("positions", [0, 1, 32])
def test_claim_reads_only_owner_and_withdrawn_from_the_leaf(world: World, positions: int):
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300, positions, cash=-(1 << 94), fill=0xFF)})
    pay(world.vault, accounts.claim(1, world.commit_accounts(accounts)), sender=world.bob)
    assert world.token.call("balanceOf", world.alice) == 300


def test_more_than_the_vault_holds_is_not_paid_and_stays_claimable(world: World):
    world.open(world.alice, 100)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    assert refused(world, claim) == "token: balance too low"
    world.open(world.bob, 500)
    pay(world.vault, claim, sender=world.alice)
    assert vault.paid(world.vault, 1) == 300


@st.composite
def crowds(draw: st.DrawFn) -> dict[int, tuple[int, int]]:
    """Withdrawn and positions of subaccounts 1 and 2 and of a random crowd around them."""
    others = draw(st.sets(st.integers(0, 4**12 - 1), max_size=12))
    member = st.tuples(st.integers(1, 400), st.integers(0, 32))
    return {subaccount: draw(member) for subaccount in sorted(others | {1, 2})}


@pytest.mark.needs_node
@settings(on_chain, max_examples=25)
@given(crowds())
def test_every_tree_pays_each_of_its_claims(world: World, crowd: dict[int, tuple[int, int]]):
    mark = world.chain.snapshot()
    owners = {1: world.alice, 2: world.bob}
    for owner in owners.values():
        world.open(owner, 500)
    accounts = Accounts(
        {index: account_leaf(owners.get(index, b"\x01" * 20), *member) for index, member in crowd.items()}
    )
    number = world.commit_accounts(accounts)
    for subaccount, owner in owners.items():
        claim = accounts.claim(subaccount, number)
        assert verify_claim(claim, accounts.root()) == Withdrawn(owner, crowd[subaccount][0])
        pay(world.vault, claim, sender=world.stranger)
        assert world.token.call("balanceOf", owner) == crowd[subaccount][0]
    world.chain.restore(mark)


@pytest.fixture(scope="module")
def provable(module_chain: Chain) -> tuple[World, Accounts, Claim]:
    """A claim that would pay, to be broken without mining."""
    world = World(module_chain)
    world.open(world.alice, 1_000)
    world.open(world.bob, 1_000)
    crowd = {index: account_leaf(b"\x05" * 20, index) for index in (0, 3, 9, 60, 4**11, 4**12 - 1)}
    accounts = Accounts(
        {1: account_leaf(world.alice, 300, positions=2, fill=3), 2: account_leaf(world.bob, 10)} | crowd
    )
    claim = accounts.claim(1, world.commit_accounts(accounts))
    world.chain.call(world.vault.address, world.vault.payload("claim", *msgspec.structs.astuple(claim)))
    return world, accounts, claim


@pytest.mark.needs_node
@settings(on_chain, max_examples=200)
@given(st.sampled_from(["leaf", "siblings", *WORDS]), st.integers(0, 1 << 20), st.integers(1, 255))
def test_one_changed_byte_anywhere_proves_nothing(
    provable: tuple[World, Accounts, Claim], part: str, at: int, change: int
):
    world, accounts, claim = provable
    broken = msgspec.structs.replace(claim, **{part: _changed(getattr(claim, part), at, change)})
    assert refused(world, broken) == "vault: not in the root"
    with pytest.raises(ClaimRefused, match="vault: not in the root"):
        verify_claim(broken, accounts.root())


def _changed(value: bytes | tuple[bytes, ...], at: int, change: int) -> bytes | tuple[bytes, ...]:
    if isinstance(value, tuple):
        which = at % len(value)
        return (*value[:which], _changed(value[which], at // len(value), change), *value[which + 1 :])
    at %= len(value)
    return value[:at] + bytes([value[at] ^ change]) + value[at + 1 :]


def test_a_token_cannot_claim_again_in_the_middle_of_a_claim(chain: Chain):
    world = World(chain, double="ReentrantToken")
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    again = world.vault.payload("claim", *msgspec.structs.astuple(claim))
    world.token.send("arm", world.vault.address, again, sender=world.alice)
    pay(world.vault, claim, sender=world.alice)
    assert (world.token.call("attempts"), world.token.call("successes")) == (1, 0)
    assert world.token.call("balanceOf", world.alice) == 300


def test_a_token_cannot_deposit_in_the_middle_of_a_claim(chain: Chain):
    world = World(chain, double="ReentrantToken")
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    world.token.send("mint", world.token.address, 100, sender=world.alice)
    world.token.send("arm", world.vault.address, world.vault.payload("deposit", 1, 100), sender=world.alice)
    pay(world.vault, claim, sender=world.alice)
    assert (world.token.call("attempts"), world.token.call("successes")) == (1, 0)
    assert vault.deposit_count(world.vault) == 1


def test_a_token_that_says_no_leaves_the_claim_unpaid_and_open(chain: Chain):
    world = World(chain, double="RefusingToken")
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    claim = accounts.claim(1, world.commit_accounts(accounts))
    world.token.send("refuse", sender=world.alice)
    assert refused(world, claim) == "vault: token refused the transfer"
    assert vault.paid(world.vault, 1) == 0


def test_a_token_that_returns_nothing_is_paid_out(chain: Chain):
    world = World(chain, double="NoReturnToken")
    world.open(world.alice, 1_000)
    accounts = Accounts({1: account_leaf(world.alice, 300)})
    pay(world.vault, accounts.claim(1, world.commit_accounts(accounts)), sender=world.alice)
    assert world.token.call("balanceOf", world.alice) == 300

"""The development accounts: published keys, one owner and one session key each."""

import pytest
from eth_account import Account

from penstock.simulation.accounts import MAKER, TAKER, development_accounts, everybody, local_accounts, makers_of

MNEMONIC = "test test test test test test test test test test test junk"


def derived(index):
    Account.enable_unaudited_hdwallet_features()
    return bytes(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key)


def test_the_pasted_keys_are_those_of_the_published_mnemonic():
    accounts = development_accounts()
    assert (accounts.deployer, accounts.operator) == (derived(0), derived(1))
    assert accounts.oracles == (derived(2), derived(3), derived(4))
    for number, trader in enumerate(accounts.traders):
        assert (trader.owner_key, trader.session_key) == (derived(5 + number), derived(100 + number))


def test_every_market_has_two_makers_and_two_takers_with_subaccounts_in_order():
    accounts = development_accounts()
    assert [t.subaccount for t in accounts.traders] == [1, 2, 3, 4, 5, 6, 7, 8]
    for name in ("BTC_USDC-PERPETUAL", "ETH_USDC-PERPETUAL"):
        assert [t.role for t in accounts.traders if t.instrument == name] == [MAKER, MAKER, TAKER, TAKER]


def test_no_two_accounts_share_a_key():
    accounts = development_accounts(makers=5, takers=2)
    keys = [accounts.deployer, accounts.operator, *accounts.oracles]
    keys += [key for t in accounts.traders for key in (t.owner_key, t.session_key)]
    assert len(set(keys)) == len(keys)


def test_more_traders_than_keys_are_refused():
    with pytest.raises(ValueError, match="16 traders"):
        development_accounts(makers=6)


def test_the_makers_of_a_local_venue_are_enough_for_every_level_and_never_trade_with_themselves():
    accounts = local_accounts()
    assert [t.subaccount for t in everybody()] == list(range(1, 34))
    for name, makers in (("BTC_USDC-PERPETUAL", 14), ("ETH_USDC-PERPETUAL", 10)):
        assert len(accounts.of(name, MAKER)) == makers_of(name) == makers
        in_market = [t.owner_key for t in accounts.traders if t.instrument == name]
        assert len(set(in_market)) == len(in_market)
    more = [t for t in accounts.traders if t.subaccount > 9]
    assert [t.owner_key for t in more] == [derived(20 + i) for i in (*range(12), *range(8))]

"""Chains for the contract tests: one a module, put back after every test."""

from collections.abc import Iterator

import pytest
from chain_world import LIBRARY, World

from penstock.settlement.anvil import find_anvil
from penstock.settlement.chain import Chain
from penstock.settlement.local_chain import open_chain


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if find_anvil(LIBRARY.root) is None:
        for item in items:
            if item.get_closest_marker("needs_node"):
                item.add_marker(pytest.mark.skip(reason="anvil is not installed: run npm install"))


@pytest.fixture(scope="module")
def module_chain() -> Iterator[Chain]:
    with open_chain() as chain:
        yield chain


@pytest.fixture(scope="module")
def module_world(module_chain: Chain) -> World:
    """Development contracts without a finality window."""
    return World(module_chain)


@pytest.fixture
def world(module_world: World) -> Iterator[World]:
    mark = module_world.chain.snapshot()
    yield module_world
    module_world.chain.restore(mark)


@pytest.fixture
def chain(module_chain: Chain) -> Iterator[Chain]:
    """A chain for contracts of the test's own."""
    mark = module_chain.snapshot()
    yield module_chain
    module_chain.restore(mark)

"""Hypothesis looks for the shortest sequence of commands that breaks a law."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laws.invariants import Watch, recount
from penstock.protocol.commands import IMMEDIATE_OR_CANCEL, CancelAll, CancelOrder
from penstock.protocol.quantities import ANY_FILL, MICRO, NO_DEADLINE
from penstock.simulation.streams import Step
from penstock.spec.digest import engine_root
from world import SESSION_KEY, World, owner_of

MARK = 600_000
subaccounts = st.integers(1, 4)
slots = st.integers(16, 19)
sides = st.integers(0, 1)
kinds = st.integers(0, 3)
lots = st.integers(1, 40).map(lambda n: 100 * n)
ticks = st.integers(-5, 5).map(lambda n: MARK + 100 * n)


class Venue(RuleBasedStateMachine):
    """Four traders with 100 USDC each, one order slot range, one moving price."""

    def __init__(self):
        super().__init__()
        self.world = World(traders=0)
        self.watch = Watch(self.world.state)
        apply = self.world.apply

        def watched(message):
            applied = apply(message)
            step = Step(self.world.sequence, self.world.time, message, applied)
            self.watch.follow(self.world.state, step)
            return applied

        self.world.apply = watched
        for subaccount in range(1, 5):
            self.world.deposit(subaccount, 100 * MICRO)
        self.world.price(MARK)

    @rule(
        who=subaccounts, slot=slots, side=sides, price=ticks, size=lots, guard=st.sampled_from([0, 100, ANY_FILL]),
        immediate=st.booleans(), post_only=st.booleans(), reduce_only=st.booleans(), by_key=st.booleans(),
    )  # fmt: skip
    def place(self, who, slot, side, price, size, guard, immediate, post_only, reduce_only, by_key):
        order = self.world.order(
            who, side, price, size, slot, fill_guard=guard, time_in_force=IMMEDIATE_OR_CANCEL if immediate else 0,
            post_only=post_only, reduce_only=reduce_only,
        )  # fmt: skip
        self.world.send(order, signers=(SESSION_KEY,) if by_key else (owner_of(who),))

    @rule(who=subaccounts, moves=st.lists(st.tuples(sides, slots, ticks, lots, kinds), min_size=2, max_size=5))
    def bundle(self, who, moves):
        records = []
        for side, slot, price, size, kind in moves:
            if kind == 0:
                records.append(CancelOrder(who, slot, self.world.next_nonce(), NO_DEADLINE))
            elif kind == 1:
                records.append(CancelAll(who, slot, self.world.next_nonce(), NO_DEADLINE))
            else:
                records.append(self.world.order(who, side, price, size, slot))
        self.world.send(*records, signers=(owner_of(who),))

    @rule(who=subaccounts, slot=slots)
    def cancel(self, who, slot):
        self.world.cancel(who, slot)

    @rule(who=subaccounts)
    def cancel_all(self, who):
        self.world.cancel_all(who)

    @rule(who=subaccounts, amount=st.integers(0, 120 * MICRO))
    def withdraw(self, who, amount):
        self.world.withdraw(who, amount)

    @rule(who=subaccounts, seconds=st.integers(0, 5))
    def grant(self, who, seconds):
        self.world.grant(who, expiry=self.world.time // MICRO + seconds)

    @rule(who=subaccounts)
    def revoke(self, who):
        self.world.revoke(who)

    @rule(step=st.integers(-10_000, 10_000), basis=st.integers(-5_000, 5_000))
    def price(self, step, basis):
        index = self.world.state.markets[0].index_price * (1_000_000 + step) // 1_000_000
        self.world.price(index, index * (1_000_000 + basis) // 1_000_000)

    @rule(seconds=st.integers(1, 70))
    def wait(self, seconds):
        self.world.wait(seconds)

    @rule(who=subaccounts)
    def liquidate(self, who):
        self.world.liquidate(who)

    @rule()
    def accrue(self):
        self.world.accrue()

    @rule()
    def sweep(self):
        self.world.sweep()

    @rule(who=subaccounts, slot=slots)
    def remove(self, who, slot):
        self.world.remove(who, slot)

    @precondition(lambda self: self.world.sequence % 5 == 0)
    @invariant()
    def everything_adds_up(self):
        recount(self.world.state)
        assert engine_root(self.watch.shadow) == engine_root(self.world.state)

    def teardown(self):
        self.watch.compare(self.world.state)


TestVenue = Venue.TestCase
TestVenue.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)

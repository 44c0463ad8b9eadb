"""Counts since the node started, from durable commands alone."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from penstock.protocol.commands import CancelAll, CancelOrder, PlaceOrder
from penstock.protocol.events import Refused, Traded
from penstock.protocol.reasons import Reason
from penstock.venue.gateway.units import dollars
from penstock.venue.sequencer import Executed


class Statistics:
    """An observer of the sequencer. `volume` is kept in 1e-6 USDC."""

    def __init__(self) -> None:
        self.commands = self.orders = self.cancels = self.trades = self.volume = self.ledger_entries = self.batches = 0
        self.refused: Counter[Reason] = Counter()

    def follow(self, executed: Sequence[Executed]) -> None:
        """Count the next durable commands."""
        self.commands += len(executed)
        for command in executed:
            for record_type in command.message.member_types:
                self.orders += record_type is PlaceOrder
                self.cancels += record_type in (CancelOrder, CancelAll)
            for event in command.events:
                if type(event) is Traded:
                    self.trades += 1
                    self.volume += event.price * event.size
                elif type(event) is Refused:
                    self.refused[event.reason] += 1
            self.ledger_entries += len(command.entries)

    def shown(self) -> dict[str, Any]:
        """As `penstock/get_statistics` tells it; `volume` in USD."""
        return {
            "commands": self.commands,
            "orders": self.orders,
            "cancels": self.cancels,
            "trades": self.trades,
            "volume": dollars(self.volume),
            "refused": {reason.name: count for reason, count in self.refused.most_common()},
            "batches": self.batches,
            "ledger_entries": self.ledger_entries,
        }

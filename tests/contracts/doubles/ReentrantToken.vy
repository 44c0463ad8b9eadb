# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title ReentrantToken
@license Apache-2.0
@notice Test double. Calls back, once, in the middle of a transfer, and remembers whether that went through.
"""

balanceOf: public(HashMap[address, uint256])


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    return True


target: address
payload: Bytes[4096]
attempts: public(uint256)
successes: public(uint256)


@external
def arm(target: address, payload: Bytes[4096]):
    self.target = target
    self.payload = payload


@external
def transfer(receiver: address, amount: uint256) -> bool:
    self._move(msg.sender, receiver, amount)
    return True


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    self._move(sender, receiver, amount)
    return True


@internal
def _move(sender: address, receiver: address, amount: uint256):
    target: address = self.target
    if target != empty(address):
        self.target = empty(address)
        self.attempts += 1
        if raw_call(target, self.payload, revert_on_failure=False):
            self.successes += 1
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount

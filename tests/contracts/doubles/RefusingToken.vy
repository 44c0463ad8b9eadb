# SPDX-License-Identifier: Apache-2.0
# pragma version 0.4.3
"""
@title RefusingToken
@license Apache-2.0
@notice Test double. Says no instead of reverting, once told to.
"""

balanceOf: public(HashMap[address, uint256])


@external
def mint(receiver: address, amount: uint256):
    self.balanceOf[receiver] += amount


@external
def approve(spender: address, amount: uint256) -> bool:
    return True


refusing: public(bool)


@external
def refuse():
    self.refusing = True


@external
def transfer(receiver: address, amount: uint256) -> bool:
    return self._move(msg.sender, receiver, amount)


@external
def transferFrom(sender: address, receiver: address, amount: uint256) -> bool:
    return self._move(sender, receiver, amount)


@internal
def _move(sender: address, receiver: address, amount: uint256) -> bool:
    if self.refusing:
        return False
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    return True

//! Written entries out of thin air: right in form, noise in content.

/// xorshift64*.
pub struct Noise(pub u64);

impl Noise {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }

    pub fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// A state without accounts and markets.
pub fn empty_state() -> Vec<u8> {
    vec![0; 8 + 96]
}

/// An account write with up to three slots among 20 and one session among 8.
pub fn account_write(noise: &mut Noise, subaccount: u32, positions: u64) -> Vec<u8> {
    let mut write = subaccount.to_be_bytes()[1..].to_vec();
    write.extend(noise.bytes(64));
    let positions = noise.below(positions);
    write.push(positions as u8);
    write.extend(noise.bytes(32 * positions));
    let slots = noise.below(4);
    write.push(slots as u8);
    for _ in 0..slots {
        write.extend((noise.below(20) as u16).to_be_bytes());
        write.extend(noise.bytes(64));
    }
    let sessions = noise.below(2);
    write.push(sessions as u8);
    if sessions > 0 {
        write.push(noise.below(8) as u8);
        write.extend(noise.bytes(64));
    }
    write
}

/// An entry with up to three accounts, up to two markets, and sometimes globals and a deposit head.
pub fn random_entry(noise: &mut Noise, accounts: u64) -> Vec<u8> {
    let mut entry = vec![3, 1, 2, 3];
    let writes = noise.below(4);
    entry.push(writes as u8);
    for _ in 0..writes {
        let subaccount = noise.below(accounts) as u32;
        entry.extend(account_write(noise, subaccount, 9));
    }
    let markets = noise.below(3);
    entry.push(markets as u8);
    for _ in 0..markets {
        entry.extend([0, 0, noise.below(6) as u8]);
        entry.extend(noise.bytes(192));
    }
    let flags = noise.below(4) as u8;
    entry.push(flags);
    entry.extend(noise.bytes(64 * u64::from(flags & 1) + 32 * u64::from(flags >> 1)));
    entry
}

/// A trade as the ledger records it: two accounts of four positions, a slot each, and one of 16 markets.
pub fn trade(noise: &mut Noise, accounts: u64) -> Vec<u8> {
    let mut entry = vec![236];
    entry.extend([7; 236]);
    entry.push(2);
    let maker = noise.below(accounts);
    let taker = (maker + 1 + noise.below(accounts - 1)) % accounts;
    for subaccount in [maker, taker] {
        entry.extend(&(subaccount as u32).to_be_bytes()[1..]);
        entry.extend(noise.bytes(64));
        entry.push(4);
        entry.extend(noise.bytes(128));
        entry.push(1);
        entry.extend((16 + noise.below(64) as u16).to_be_bytes());
        entry.extend(noise.bytes(64));
        entry.push(0);
    }
    entry.push(1);
    entry.extend([0, 0, noise.below(16) as u8]);
    entry.extend(noise.bytes(192));
    entry.push(0);
    entry
}

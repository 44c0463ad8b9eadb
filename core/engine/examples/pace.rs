//! How many commands a second the core applies: 60 % cancel-replace, 25 % new, 10 % cancel, 5 % crossing, over 10,000
//! subaccounts with two positions each, from encoded commands to encoded events and written ledger entries.
//! Signatures, record hashes and settlement roots are not counted.
//!
//! `cargo run --release -p penstock-engine --example pace [commands] [markets]`; markets: 2, or up to 64, of which each
//! account holds two.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::time::Instant;

use penstock_engine::Engine;
use penstock_protocol::packed::Packer;
use penstock_protocol::quantities::{ANY_FILL, Address, BUY, IMMEDIATE_OR_CANCEL, NO_DEADLINE, SELL};
use penstock_protocol::records::{CancelOrder, CreditDeposit, PlaceOrder, PublishPrice, Record};
use penstock_protocol::terms::TERMS;
use penstock_protocol::wire::{Member, Message};

const ACCOUNTS: u32 = 10_000;
const MARKS: [u64; 2] = [600_000, 300_000];
const LOTS: [u64; 2] = [100, 10];
const MOST_MARKETS: u32 = 64;
const BATCH: usize = 512;
const SLOTS: u64 = 24;

fn main() -> Result<(), String> {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(2_000_000);
    let markets = std::env::args().nth(2).and_then(|markets| markets.parse().ok()).unwrap_or(2);
    let mut venue = Venue::open(markets.clamp(2, MOST_MARKETS) & !1)?;
    venue.hold_two_positions_each()?;
    let mut best = 0;
    let mut out = Vec::new();
    for round in 1..=5 {
        let batches = venue.stream(count);
        let start = Instant::now();
        let mut bytes = 0;
        for batch in &batches {
            out.clear();
            venue.engine.apply_batch(batch, &mut out)?;
            bytes += out.len();
        }
        let spent = start.elapsed();
        let pace = (count as u128 * 1_000_000_000 / spent.as_nanos()) as u64;
        best = best.max(pace);
        println!("round {round}: {pace} commands/s, {} bytes out a command", bytes / count);
    }
    println!("best {best} commands/s; orders resting {:?}", venue.resting());
    Ok(())
}

struct Venue {
    engine: Engine,
    markets: u32,
    sequence: u64,
    dice: u64,
    /// What each account believes to rest, by slot: market and side.
    believed: Vec<[Option<(u32, u8)>; SLOTS as usize]>,
}

const TIME: u64 = 1_700_000_000_000_000;

fn owner(subaccount: u32) -> Address {
    let mut address = [0x11; 20];
    address[..4].copy_from_slice(&subaccount.to_be_bytes());
    address
}

/// The two markets of an account are neighbours.
fn pair_of(subaccount: u32, markets: u32) -> u32 {
    subaccount % (markets / 2)
}

/// Markets alternate between two sorts.
fn sort(market: u32) -> usize {
    market as usize % 2
}

fn genesis(markets: u32) -> Vec<u8> {
    let mut bytes = vec![1, 1];
    bytes.extend_from_slice(&[0xA0; 20]);
    bytes.extend_from_slice(&[0; 40]);
    bytes.extend_from_slice(&markets.to_be_bytes());
    for market in 0..markets {
        let mut terms = Packer::<TERMS>::new();
        terms.u24(market).u8(market as u8).u8(1).u40(1u64).u48(LOTS[sort(market)]);
        terms.i24(0).u24(300u32).u24(5_000u32).u24(10_000u32).u96(100_000_000_000i128).u24(10_000u32).u24(10_000u32);
        terms.u64(1u64 << 47).u64(1_000_000u64).u32(5_000_000u32).i32(0).u32(250_000u32).u40(0u64).u40(0u64).u8(0);
        terms.u56((1u64 << 55) - 1).u56((1u64 << 56) - 1).u56((1u64 << 56) - 1).u32(0u32).u8(2);
        bytes.extend_from_slice(&terms.finish());
        for (notional, initial) in [(1_000_000_000_000i128, 20_000u32), ((1 << 95) - 1, 250_000)] {
            let mut tier = Packer::<18>::new();
            tier.u96(notional).u24(initial).u24(initial / 2);
            bytes.extend_from_slice(&tier.finish());
        }
    }
    bytes.extend_from_slice(&[0; 2]);
    bytes
}

impl Venue {
    fn open(markets: u32) -> Result<Venue, String> {
        let engine = Engine::new(&genesis(markets))?;
        let believed = vec![[None; SLOTS as usize]; ACCOUNTS as usize + 1];
        Ok(Venue { engine, markets, sequence: 0, dice: 0x9E37_79B9_7F4A_7C15, believed })
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % bound
    }

    fn command(&mut self, record: impl Into<Record>, signers: Vec<Address>, out: &mut Vec<u8>) {
        self.sequence += 1;
        let head = Member { record: record.into(), record_hash: [self.sequence as u8; 32] };
        let mut message = Vec::new();
        Message { head, signers, members: Vec::new() }.encode(&mut message);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&(TIME + self.sequence).to_be_bytes());
        out.extend_from_slice(&(message.len() as u32).to_be_bytes());
        out.extend_from_slice(&message);
    }

    fn order(&mut self, subaccount: u32, slot: u16, market: u32, side: u8, price: u64, lots: u64) -> PlaceOrder {
        PlaceOrder {
            builder: 0,
            builder_fee_ppm: 0,
            subaccount,
            slot,
            nonce: TIME + self.sequence + 1,
            deadline: NO_DEADLINE,
            market,
            side,
            price,
            size: lots * LOTS[sort(market)],
            fill_guard: ANY_FILL,
            time_in_force: 0,
            post_only: false,
            reduce_only: false,
            max_fee_ppm: 1_000,
        }
    }

    fn hold_two_positions_each(&mut self) -> Result<(), String> {
        let mut commands = Vec::new();
        for subaccount in 1..=ACCOUNTS {
            let deposit = u64::from(subaccount) - 1;
            let (owner, amount) = (owner(subaccount), 1_000_000_000_000);
            self.command(CreditDeposit { deposit, subaccount, owner, amount, l1_block: 1 }, vec![], &mut commands);
        }
        let markets = self.markets;
        for market in 0..markets {
            let price = MARKS[sort(market)];
            let (published_at, index_price, mark_price) = (TIME, price, price);
            self.command(
                PublishPrice { market, published_at, index_price, mark_price, premium: 0 },
                vec![[0xA0; 20]],
                &mut commands,
            );
            for subaccount in (1..=ACCOUNTS).filter(|&subaccount| pair_of(subaccount, markets) == market / 2) {
                let side = if (subaccount / (markets / 2)).is_multiple_of(2) { BUY } else { SELL };
                let order = self.order(subaccount, 16, market, side, price, 5);
                self.command(order, vec![owner(subaccount)], &mut commands);
            }
        }
        self.engine.apply_batch(&commands, &mut Vec::new())?;
        Ok(())
    }

    fn stream(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut batches = Vec::new();
        for first in (0..count).step_by(BATCH) {
            let mut batch = Vec::new();
            for _ in first..count.min(first + BATCH) {
                self.next(&mut batch);
            }
            batches.push(batch);
        }
        batches
    }

    /// One command of the mix; a slot is new where nothing is believed to rest, else replaced or cancelled.
    fn next(&mut self, batch: &mut Vec<u8>) {
        let subaccount = 1 + self.below(ACCOUNTS.into()) as u32;
        let kind = self.below(100);
        let occupied: Vec<u64> =
            (0..SLOTS).filter(|&s| self.believed[subaccount as usize][s as usize].is_some()).collect();
        let market = self.below(2) as u32 + 2 * pair_of(subaccount, self.markets);
        let (side, mark) = (self.below(2) as u8, MARKS[sort(market)]);
        if kind < 5 {
            let price = if side == BUY { mark + 50 } else { mark - 50 };
            let lots = 1 + self.below(4);
            let mut order = self.order(subaccount, 16 + SLOTS as u16, market, side, price, lots);
            order.time_in_force = IMMEDIATE_OR_CANCEL;
            return self.command(order, vec![owner(subaccount)], batch);
        }
        if kind < 20 && !occupied.is_empty() {
            // A quarter more cancels than asked for would empty the books: one in three of these is a new order.
            let place = occupied[self.below(occupied.len() as u64) as usize];
            if kind < 15 {
                self.believed[subaccount as usize][place as usize] = None;
                let (slot, nonce) = (16 + place as u16, TIME + self.sequence + 1);
                let cancel = CancelOrder { subaccount, slot, nonce, deadline: NO_DEADLINE };
                return self.command(cancel, vec![owner(subaccount)], batch);
            }
        }
        let free: Vec<u64> = (0..SLOTS).filter(|place| !occupied.contains(place)).collect();
        let replace = (kind >= 40 && !occupied.is_empty()) || free.is_empty();
        let slots = if replace { occupied } else { free };
        let place = slots[self.below(slots.len() as u64) as usize];
        let (market, side) = match self.believed[subaccount as usize][place as usize] {
            Some(resting) if replace => resting,
            _ => (market, side),
        };
        self.believed[subaccount as usize][place as usize] = Some((market, side));
        let away = 1 + self.below(4) + 4 * u64::from(self.below(1 << 20).trailing_zeros());
        let price = if side == BUY { MARKS[sort(market)] - away } else { MARKS[sort(market)] + away };
        let lots = 1 + self.below(4);
        let order = self.order(subaccount, 16 + place as u16, market, side, price, lots);
        self.command(order, vec![owner(subaccount)], batch);
    }

    fn resting(&self) -> Vec<usize> {
        self.engine.state().markets.iter().map(|market| market.book.len()).collect()
    }
}

//! A venue of a few accounts and dice: two perpetuals, futures and options that are listed and expire; orders, cancels,
//! mass cancels, keys, withdrawals, prices, funding, builders, and a guardian.

use penstock_engine::Engine;
use penstock_protocol::instruments::{ALL_DATES, CALL, FUTURE, OPTION, PERPETUAL, PUT};
use penstock_protocol::packed::Packer;
use penstock_protocol::quantities::{ALL_SCOPES, ANY_FILL, Address, BUY, MICRO, NO_DEADLINE};
use penstock_protocol::records::{
    AccrueFunding, CancelAll, CancelOrder, CreditDeposit, ExpireMarket, ExpirePosition, GrantSession, ListMarket,
    MarkStale, PayBuilder, PlaceOrder, PublishPrice, Record, RevokeSession, SetMarketStatus, Withdraw,
};
use penstock_protocol::terms::{TEMPLATE, TERMS, TIER};
use penstock_protocol::wire::{Member, Message};

const ACCOUNTS: u32 = 8;
const MARKETS: u32 = 6;
/// Two perpetuals; what is listed at the opening, a future, a call and a put; and what the dice list.
const MARKS: [u64; MARKETS as usize] = [600_000, 300_000, 600_000, 14_000, 16_000, 600_000];
const LOTS: [u64; MARKETS as usize] = [100, 10, 10, 10, 10, 10];
/// 08:00 UTC: what is listed at the opening ends here.
const EXPIRY: u64 = 1_700_035_200;
const DAY: u64 = 86_400;
const START: u64 = (EXPIRY - 20) * MICRO;
const ORACLE: Address = [0xA0; 20];
const GUARDIAN: Address = [0xA1; 20];
const STRIKE: u64 = 600_000;

pub struct SmallVenue {
    pub engine: Engine,
    sequence: u64,
    time: u64,
    dice: u64,
}

fn terms(market: u32, kind: u8, lot: u64, maker_fee_ppm: i32) -> Vec<u8> {
    let mut terms = Packer::<TERMS>::new();
    terms.u24(market).u8((market % 2) as u8).u8(kind).u40(1u64).u48(lot).i24(maker_fee_ppm).u24(300u32);
    terms.u24(5_000u32).u24(10_000u32).u96(100_000_000_000i128).u24(10_000u32).u24(20_000u32);
    terms.u64(60 * MICRO).u64(MICRO).u32(5_000_000u32).i32(100_000).u32(250_000u32).u40(0u64).u40(0u64).u8(0);
    terms.u56(1u64 << 40).u56(1u64 << 41).u56(20_000u64).u32(0u32).u8(1);
    let mut tier = Packer::<TIER>::new();
    tier.u96((1i128 << 95) - 1).u24(20_000u32).u24(10_000u32);
    [&terms.finish()[..], &tier.finish()].concat()
}

fn template(number: u16, strike_step: u64) -> Vec<u8> {
    let mut template = Packer::<TEMPLATE>::new();
    template.u16(number).u8(ALL_DATES).u40(strike_step).u24(100_000u32).u24(0u32);
    let kind = if strike_step == 0 { FUTURE } else { OPTION };
    [&template.finish()[..], &terms(0, kind, 10, -100)].concat()
}

pub fn genesis() -> Vec<u8> {
    let markets = [terms(0, PERPETUAL, LOTS[0], 0), terms(1, PERPETUAL, LOTS[1], -50)].concat();
    let templates = [template(1, 0), template(2, 10_000)].concat();
    let head = [&[1, 1][..], &ORACLE, &GUARDIAN, &[0; 20]].concat();
    [&head[..], &2u32.to_be_bytes(), &markets, &2u16.to_be_bytes(), &templates].concat()
}

fn owner(subaccount: u32) -> Address {
    [0x10 + subaccount as u8; 20]
}

fn key(subaccount: u32, number: u64) -> Address {
    let mut key = [0xE0 + subaccount as u8; 20];
    key[19] = number as u8;
    key
}

impl SmallVenue {
    pub fn open(seed: u64) -> SmallVenue {
        let engine = Engine::new(&genesis()).expect("a genesis");
        let mut venue =
            SmallVenue { engine, sequence: 0, time: START, dice: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 };
        let mut opening = Vec::new();
        for subaccount in 1..=ACCOUNTS {
            let (deposit, owner, amount) = (u64::from(subaccount) - 1, owner(subaccount), 1_000_000_000_000);
            let credit = CreditDeposit { deposit, subaccount, owner, amount, l1_block: 1 };
            venue.command(credit, vec![], &mut opening);
        }
        venue.price(0, &mut opening);
        for (template, strike, option_type) in [(1, 0, 0), (2, STRIKE, CALL), (2, STRIKE, PUT)] {
            venue.command(ListMarket { template, expiry: EXPIRY, strike, option_type }, vec![], &mut opening);
        }
        for market in 1..5 {
            venue.price(market, &mut opening);
        }
        venue.engine.apply_batch(&opening, &mut Vec::new()).expect("a batch");
        venue
    }

    /// Apply so many commands; their bytes, and what came of them.
    pub fn run(&mut self, count: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut commands, mut applied) = (Vec::new(), Vec::new());
        for _ in 0..count {
            self.next(&mut commands);
        }
        self.engine.apply_batch(&commands, &mut applied).expect("a batch");
        (commands, applied)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % bound
    }

    fn command(&mut self, record: impl Into<Record>, signers: Vec<Address>, out: &mut Vec<u8>) {
        self.sequence += 1;
        self.time += 1 + self.below(MICRO / 20);
        let mut record_hash = [0x5A; 32];
        record_hash[..8].copy_from_slice(&self.sequence.to_le_bytes());
        let mut message = Vec::new();
        Message { head: Member { record: record.into(), record_hash }, signers, members: vec![] }.encode(&mut message);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
        out.extend_from_slice(&(message.len() as u32).to_be_bytes());
        out.extend_from_slice(&message);
    }

    fn price(&mut self, market: u32, out: &mut Vec<u8>) {
        let (published_at, option) = (self.time, matches!(market, 3 | 4));
        let index = if option { MARKS[0] } else { MARKS[market as usize] };
        let index_price = index + self.below(200);
        let mark_price = if option { MARKS[market as usize] } else { index_price } + self.below(400);
        let premium = if market < 2 { self.below(4_000_000) as i32 - 2_000_000 } else { 0 };
        self.command(PublishPrice { market, published_at, index_price, mark_price, premium }, vec![ORACLE], out);
    }

    fn next(&mut self, out: &mut Vec<u8>) {
        let subaccount = 1 + self.below(ACCOUNTS.into()) as u32;
        let (nonce, deadline) = (self.time, NO_DEADLINE);
        let signers = vec![owner(subaccount)];
        match self.below(100) {
            0..10 => {
                let market = self.market();
                self.price(market, out);
            }
            10..18 => {
                let slot = 16 + self.below(40) as u16;
                self.command(CancelOrder { subaccount, slot, nonce, deadline }, signers, out);
            }
            18 => self.command(CancelAll { subaccount, slot: 7, nonce, deadline }, signers, out),
            19..22 => {
                let (key, seconds) = (key(subaccount, self.below(3)), 1 + self.below(8));
                let grant = GrantSession {
                    subaccount,
                    slot: 1,
                    nonce,
                    deadline,
                    key,
                    expiry: self.time / MICRO + seconds,
                    slot_first: 16,
                    slot_last: 4_095,
                    scopes: ALL_SCOPES,
                    underlyings: u64::MAX,
                    kinds: 7,
                };
                self.command(grant, signers, out);
            }
            22 => {
                let key = key(subaccount, self.below(3));
                self.command(RevokeSession { subaccount, slot: 2, nonce, deadline, key }, signers, out);
            }
            23..25 => {
                let amount = u128::from(1 + self.below(1_000));
                self.command(Withdraw { subaccount, slot: 3, nonce, deadline, amount }, signers, out);
            }
            25 => {
                let market = self.below(2) as u32;
                self.command(AccrueFunding { market }, vec![], out);
            }
            26..32 => self.poke(subaccount, out),
            _ => self.place(subaccount, out),
        }
    }

    fn market(&mut self) -> u32 {
        self.below(MARKETS.into()) as u32
    }

    /// What anybody may do to a market or a position in it, and now and then the guardian.
    fn poke(&mut self, subaccount: u32, out: &mut Vec<u8>) {
        let market = self.market();
        match self.below(12) {
            0 => self.command(ListMarket { template: 1, expiry: EXPIRY + DAY, strike: 0, option_type: 0 }, vec![], out),
            1..3 => self.command(ExpireMarket { market }, vec![], out),
            3..7 => self.command(ExpirePosition { subaccount, market }, vec![], out),
            7..9 => self.command(PayBuilder { market, subaccount }, vec![], out),
            9 => self.command(MarkStale { market }, vec![], out),
            _ => {
                let (nonce, status) = (self.time, self.below(3) as u8);
                self.command(SetMarketStatus { market: 1 + 4 * (market % 2), nonce, status }, vec![GUARDIAN], out);
            }
        }
    }

    fn place(&mut self, subaccount: u32, out: &mut Vec<u8>) {
        let (market, side) = (self.market(), self.below(2) as u8);
        let slots = if self.below(20) == 0 { 4_000 } else { 40 };
        let away = self.below(40);
        let mark = MARKS[market as usize] + 200;
        let crosses = self.below(5) == 0;
        let below = (side == BUY) != crosses;
        let order = PlaceOrder {
            subaccount,
            slot: 16 + self.below(slots) as u16,
            nonce: self.time,
            deadline: NO_DEADLINE,
            market,
            side,
            price: if below { mark - away } else { mark + away },
            size: (1 + self.below(9)) * LOTS[market as usize],
            fill_guard: ANY_FILL,
            time_in_force: u8::from(self.below(8) == 0),
            post_only: false,
            reduce_only: self.below(10) == 0,
            max_fee_ppm: 1_000,
            builder: self.below(3) as u32,
            builder_fee_ppm: 50,
        };
        let signer = if self.below(2) == 0 { owner(subaccount) } else { key(subaccount, self.below(3)) };
        self.command(order, vec![signer], out);
    }
}

//! Operations a second on one core of a book held at 45,000 orders: `cargo run --release -p penstock-book --example
//! bench_book [--json] [operations]`. Matching only: no accounts, margin or journal.
//!
//! Half of the operations are new orders while fewer rest than wanted, else two in five; one in ten crosses; the others
//! cancel a random order. The stream is made on a naive book and stored; both books must say the same.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, clippy::float_arithmetic)]

use std::collections::BTreeMap;
use std::time::Instant;

use penstock_book::{Book, Ticket};

const RESTING: usize = 45_000;
const MIDDLE: u64 = 2_048;
const RUNS: usize = 7;
const RING: usize = 1 << 16;

#[derive(Clone, Copy)]
enum Operation {
    Add { id: u32, side: u8, price: u64, size: u32 },
    Cancel { id: u32 },
    Cross { side: u8, size: u32 },
}

/// What a book says, in a ring as a venue would store it, and a running hash of all of it.
struct Said {
    ring: Vec<(u32, u32)>,
    count: usize,
    hash: u64,
}

impl Said {
    fn nothing() -> Said {
        Said { ring: vec![(0, 0); RING], count: 0, hash: 0xCBF2_9CE4_8422_2325 }
    }

    #[inline]
    fn say(&mut self, id: u32, size: u32) {
        self.ring[self.count & (RING - 1)] = (id, size);
        self.count += 1;
        self.hash = (self.hash ^ (u64::from(id) << 32 | u64::from(size))).wrapping_mul(0x100_0000_01B3);
    }
}

fn main() {
    let json = std::env::args().any(|argument| argument == "--json");
    let operations = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(5_000_000);
    let (fill, mix, naive) = stream(operations);
    let mut seconds = Vec::new();
    let mut resting = 0;
    for _ in 0..RUNS {
        let mut venue = Venue::new(fill.len() + mix.len());
        let mut said = Said::nothing();
        fill.iter().for_each(|&operation| venue.play(operation, &mut said));
        let started = Instant::now();
        for &operation in &mix {
            venue.play(operation, &mut said);
        }
        seconds.push(started.elapsed().as_secs_f64());
        assert_eq!((said.count, said.hash), (naive.count, naive.hash), "the naive book says something else");
        resting = venue.book.len();
    }
    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
    let worst = seconds.iter().copied().fold(0.0, f64::max);
    let rate = operations as f64 / best;
    let spread = worst / best - 1.0;
    if json {
        println!(
            "{{\"operations\": {rate:.0}, \"spread\": {spread:.3}, \"resting\": {resting}, \"said\": {}}}",
            naive.count
        );
    } else {
        let (millions, percent) = (rate / 1e6, 100.0 * spread);
        println!("{millions:.1} M operations/s, {percent:.0} % spread, {resting} resting, {} events", naive.count);
    }
}

/// The book with what it does not keep: sizes, and who rests under which ticket.
struct Venue {
    book: Book,
    tickets: Vec<Option<Ticket>>,
    sizes: Vec<u32>,
}

impl Venue {
    fn new(orders: usize) -> Venue {
        Venue { book: Book::new(1), tickets: vec![None; orders], sizes: vec![0; orders] }
    }

    #[inline]
    fn play(&mut self, operation: Operation, said: &mut Said) {
        match operation {
            Operation::Add { id, side, price, size } => {
                self.tickets[id as usize] = Some(self.book.add(side, price, id));
                self.sizes[id as usize] = size;
                said.say(id, size);
            }
            Operation::Cancel { id } => {
                let ticket = self.tickets[id as usize].take().expect("a live order");
                self.book.remove(ticket);
                said.say(id, 0);
            }
            Operation::Cross { side, size } => self.cross(side, size, said),
        }
    }

    #[inline]
    fn cross(&mut self, side: u8, mut size: u32, said: &mut Said) {
        while size > 0
            && let Some(ticket) = self.book.best(1 - side)
        {
            let (id, _) = self.book.order(ticket);
            let left = &mut self.sizes[id as usize];
            let filled = size.min(*left);
            *left -= filled;
            size -= filled;
            said.say(id, filled);
            if *left == 0 {
                self.book.remove(ticket);
                self.tickets[id as usize] = None;
            }
        }
    }
}

/// A queue per price as one sorted map: slow, and plainly right.
#[derive(Default)]
struct Naive {
    sides: [BTreeMap<(u64, u32), u32>; 2],
    keys: Vec<(u8, u64)>,
    live: Vec<u32>,
    places: Vec<usize>,
}

impl Naive {
    /// Best first: bids descend, so their prices are counted from the top.
    fn key(side: u8, price: u64) -> u64 {
        if side == 0 { u64::MAX - price } else { price }
    }

    fn remove(&mut self, id: u32) {
        let (side, price) = self.keys[id as usize];
        self.sides[usize::from(side)].remove(&(Naive::key(side, price), id));
        let place = self.places[id as usize];
        self.live.swap_remove(place);
        if let Some(&moved) = self.live.get(place) {
            self.places[moved as usize] = place;
        }
    }

    fn play(&mut self, operation: Operation, said: &mut Said) {
        match operation {
            Operation::Add { id, side, price, size } => {
                self.sides[usize::from(side)].insert((Naive::key(side, price), id), size);
                self.keys.push((side, price));
                self.places.push(self.live.len());
                self.live.push(id);
                said.say(id, size);
            }
            Operation::Cancel { id } => {
                self.remove(id);
                said.say(id, 0);
            }
            Operation::Cross { side, mut size } => {
                while size > 0
                    && let Some(mut entry) = self.sides[usize::from(1 - side)].first_entry()
                {
                    let id = entry.key().1;
                    let filled = size.min(*entry.get());
                    *entry.get_mut() -= filled;
                    size -= filled;
                    said.say(id, filled);
                    if *entry.get() == 0 {
                        self.remove(id);
                    }
                }
            }
        }
    }
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// The orders that fill the book, the mix, and what the naive book says to both.
fn stream(operations: usize) -> (Vec<Operation>, Vec<Operation>, Said) {
    let (mut dice, mut naive, mut said) = (Dice(0x9E37_79B9_7F4A_7C15), Naive::default(), Said::nothing());
    let (mut fill, mut mix, mut centre) = (Vec::new(), Vec::new(), MIDDLE);
    while mix.len() < operations {
        let filling = fill.len() < RESTING;
        if (fill.len() + mix.len()) % 1_024 == 0 {
            centre = MIDDLE - 2 + dice.below(5);
        }
        let (roll, wanted) = (dice.below(100), if naive.live.len() < RESTING { 50 } else { 40 });
        let (side, size) = (dice.below(2) as u8, 1 + dice.below(100) as u32);
        let operation = if filling || roll >= 10 && roll < 10 + wanted || naive.live.is_empty() {
            let away = 1 + 4 * u64::from(dice.below(1 << 30).trailing_zeros()) + dice.below(4);
            let price = if side == 0 { centre - away } else { centre + away };
            Operation::Add { id: naive.keys.len() as u32, side, price, size }
        } else if roll < 10 {
            Operation::Cross { side, size }
        } else {
            Operation::Cancel { id: naive.live[dice.below(naive.live.len() as u64) as usize] }
        };
        naive.play(operation, &mut said);
        if filling { fill.push(operation) } else { mix.push(operation) }
    }
    (fill, mix, said)
}

//! The book against a naive twin on random streams.

use std::collections::{BTreeMap, VecDeque};

use penstock_book::{Book, Ticket};

/// What the book must equal: a queue per price.
#[derive(Default)]
struct Naive {
    sides: [BTreeMap<u64, VecDeque<u32>>; 2],
}

impl Naive {
    fn add(&mut self, side: u8, price: u64, handle: u32) {
        self.sides[usize::from(side)].entry(price).or_default().push_back(handle);
    }

    fn remove(&mut self, side: u8, price: u64, handle: u32) {
        let prices = &mut self.sides[usize::from(side)];
        let queue = prices.get_mut(&price).expect("a price in use");
        queue.retain(|&other| other != handle);
        if queue.is_empty() {
            prices.remove(&price);
        }
    }

    fn prices(&self, side: u8) -> Vec<(u64, Vec<u32>)> {
        self.sides[usize::from(side)].iter().map(|(&price, queue)| (price, queue.iter().copied().collect())).collect()
    }

    fn best_first(&self, side: u8) -> Vec<(u32, u64)> {
        let mut found: Vec<_> = self.prices(side);
        if side == 0 {
            found.reverse();
        }
        found.iter().flat_map(|(price, queue)| queue.iter().map(|&handle| (handle, *price))).collect()
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

fn walk(book: &Book, side: u8) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    let mut next = book.best(side);
    while let Some(ticket) = next {
        found.push(book.order(ticket));
        next = book.after(ticket);
    }
    found
}

/// Prices near a centre that jumps, and now and then anywhere from one tick to 2^40 - 1.
fn play(seed: u64, tick: u64, length: usize, crowd: usize) {
    let mut dice = Dice(seed);
    let (mut book, mut naive) = (Book::new(tick), Naive::default());
    let mut live: Vec<(Ticket, u8, u64, u32)> = Vec::new();
    let highest = ((1 << 40) - 1) / tick;
    let mut centre = 1 + dice.below(highest);
    for handle in 0..length as u32 {
        match dice.below(2_000) {
            0 => centre = 1 + dice.below(highest),
            1..20 => centre = (centre + dice.below(6_000)).saturating_sub(3_000).clamp(1, highest),
            _ => {}
        }
        if live.len() < crowd && dice.below(100) < 55 || live.is_empty() {
            let spread = [5, 60, 3_000, 9_000][dice.below(4) as usize];
            let step = match dice.below(100) {
                0 => [1, highest][dice.below(2) as usize],
                1..4 => 1 + dice.below(highest),
                _ => (centre + dice.below(spread)).saturating_sub(spread / 2).clamp(1, highest),
            };
            let side = dice.below(2) as u8;
            live.push((book.add(side, step * tick, handle), side, step * tick, handle));
            naive.add(side, step * tick, handle);
        } else {
            let (ticket, side, price, handle) = live.swap_remove(dice.below(live.len() as u64) as usize);
            book.remove(ticket);
            naive.remove(side, price, handle);
        }
        if handle % 64 == 0 {
            for side in 0..2 {
                assert_eq!(walk(&book, side), naive.best_first(side), "seed {seed}, step {handle}");
            }
        }
    }
    assert_eq!(book.len(), live.len());
    for side in 0..2 {
        assert_eq!(book.prices(side), naive.prices(side), "seed {seed}");
    }
    for (ticket, ..) in live {
        book.remove(ticket);
    }
    assert!(book.is_empty() && book.best(0).is_none() && book.best(1).is_none());
}

#[test]
fn a_random_book_equals_its_naive_twin() {
    for seed in 1..=24 {
        play(seed * 0x9E37_79B9, 1, 20_000, [12, 200, 2_000][seed as usize % 3]);
    }
}

#[test]
fn a_coarse_tick_changes_nothing() {
    for (seed, tick) in [(1, 5), (2, 1 << 20), (3, 1 << 39), (4, 999_983)] {
        play(seed * 0xABCD_EF01, tick, 10_000, 300);
    }
}

#[test]
fn the_first_in_a_queue_is_met_first_after_any_removal() {
    let mut book = Book::new(1);
    let tickets: Vec<_> = (0..4).map(|handle| book.add(1, 100, handle)).collect();
    book.remove(tickets[2]);
    book.remove(tickets[0]);
    book.add(1, 99, 9);
    assert_eq!(walk(&book, 1), [(9, 99), (1, 100), (3, 100)]);
}

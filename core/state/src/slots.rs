//! The 4,096 slots of every account: pages of 16, made when one of theirs is first used, all in one array.

use penstock_protocol::quantities::SLOTS;

use crate::pool::Handle;

const PAGE: usize = 16;
/// Pages whose places are in the account's own record: slots 0 to 127.
const NEAR: usize = 8;

/// One slot: the highest nonce seen (0: none), the order resting in it, and the last that filled in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    pub guard: u64,
    pub order: Handle,
    pub filled: Handle,
}

/// Where an account's pages are; 0 is a page that stays empty.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    near: [u32; NEAR],
    far: Vec<u32>,
}

impl Directory {
    #[inline]
    fn page(&self, page: usize) -> usize {
        let place = if page < NEAR { self.near[page] } else { self.far.get(page - NEAR).copied().unwrap_or(0) };
        place as usize
    }
}

/// Every account's pages.
#[derive(Clone, Debug)]
pub struct Slots {
    pages: Vec<[Slot; PAGE]>,
}

impl Default for Slots {
    fn default() -> Self {
        Slots { pages: vec![[Slot::default(); PAGE]] }
    }
}

impl Slots {
    /// The slot as it is; an unused one is empty.
    #[inline]
    pub fn get(&self, directory: &Directory, slot: u16) -> &Slot {
        &self.pages[directory.page(usize::from(slot) / PAGE)][usize::from(slot) % PAGE]
    }

    /// The slot to write; the caller has checked that it is below 4,096.
    #[inline]
    pub fn get_mut(&mut self, directory: &mut Directory, slot: u16) -> &mut Slot {
        let page = usize::from(slot) / PAGE;
        if directory.page(page) == 0 {
            self.open(directory, page);
        }
        &mut self.pages[directory.page(page)][usize::from(slot) % PAGE]
    }

    /// The slots ever used, ascending.
    pub fn used<'a>(&'a self, directory: &'a Directory) -> impl Iterator<Item = (u16, &'a Slot)> {
        let numbers = 0..SLOTS / PAGE as u16;
        numbers.filter(|&page| directory.page(page.into()) != 0).flat_map(move |page| {
            let first = page * PAGE as u16;
            (first..first + PAGE as u16).zip(&self.pages[directory.page(page.into())])
        })
    }

    #[cold]
    fn open(&mut self, directory: &mut Directory, page: usize) {
        let place = self.pages.len() as u32;
        self.pages.push([Slot::default(); PAGE]);
        if page < NEAR {
            directory.near[page] = place;
            return;
        }
        if directory.far.len() <= page - NEAR {
            directory.far.resize(page - NEAR + 1, 0);
        }
        directory.far[page - NEAR] = place;
    }
}

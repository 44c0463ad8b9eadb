//! Records in one array, freed places used again. A handle is a place; 0 is none and holds a default record.

use std::ops::{Index, IndexMut};

/// Where a record is; 0 is none.
pub type Handle = u32;

#[derive(Clone, Debug)]
pub struct Pool<T> {
    records: Vec<T>,
    free: Vec<Handle>,
}

impl<T: Default> Default for Pool<T> {
    fn default() -> Self {
        Pool { records: vec![T::default()], free: Vec::new() }
    }
}

impl<T> Pool<T> {
    #[inline]
    pub fn insert(&mut self, record: T) -> Handle {
        if let Some(handle) = self.free.pop() {
            self.records[handle as usize] = record;
            return handle;
        }
        let handle = self.records.len() as Handle;
        self.records.push(record);
        handle
    }

    /// Records in use.
    pub fn len(&self) -> usize {
        self.records.len() - 1 - self.free.len()
    }

    /// Whether no record is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The place may be used again; what it holds stays until then.
    #[inline]
    pub fn remove(&mut self, handle: Handle) {
        self.free.push(handle);
    }
}

impl<T> Index<Handle> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, handle: Handle) -> &T {
        &self.records[handle as usize]
    }
}

impl<T> IndexMut<Handle> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, handle: Handle) -> &mut T {
        &mut self.records[handle as usize]
    }
}

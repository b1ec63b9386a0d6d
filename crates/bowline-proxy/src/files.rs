//! Which files a snapshot was made of, and whether they hold something else by now.
//!
//! What they hold is looked at and not when they were written: certificates are a few kilobytes, and a clock that went
//! back, a copy that keeps its time or two writes within one tick would hide a change from whoever trusts the time.

use bowline_call::tls::Source;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

/// Notes what is read through it.
#[derive(Debug)]
pub(crate) struct Noting<'a> {
    source: &'a dyn Source,
    seen: RefCell<BTreeMap<Box<str>, u64>>,
}

impl<'a> Noting<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, seen: RefCell::default() }
    }

    /// Everything that was read.
    pub(crate) fn seen(self) -> Seen {
        Seen(self.seen.into_inner())
    }
}

impl Source for Noting<'_> {
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let read = self.source.read(name);
        self.seen.borrow_mut().insert(name.into(), digest(&read));
        read
    }
}

/// Files by name, each with a digest of what it held.
#[derive(Debug, Default)]
pub(crate) struct Seen(BTreeMap<Box<str>, u64>);

impl Seen {
    /// Whether one of them holds something else by now, is there now or is there no more.
    pub(crate) fn has_changed(&self, source: &dyn Source) -> bool {
        self.0.iter().any(|(name, before)| digest(&source.read(name)) != *before)
    }
}

fn digest(read: &io::Result<Vec<u8>>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match read {
        Ok(bytes) => bytes.hash(&mut hasher),
        Err(error) => error.kind().hash(&mut hasher),
    }
    hasher.finish()
}

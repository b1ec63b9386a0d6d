//! Between the file and the parser: counts bytes, and lets no text grow without end.
//!
//! Why: the parser keeps a text until its closing quote. One that never closes would take as much memory as the
//! file is long.

use std::io::{self, Read};

/// Bytes of one text. Spans carry whole statements and stack traces; a text longer than this is no name.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// Read at once: the cost of a call is spread, and progress is told often enough.
const BLOCK: usize = 256 << 10;

/// What is said when something is refused: code, found, expected.
pub(super) type Refusal = (&'static str, &'static str, &'static str);

pub(super) struct Guard<'r> {
    reader: &'r mut dyn Read,
    progress: &'r mut dyn FnMut(u64),
    block: Vec<u8>,
    at: usize,
    passed: u64,
    within: Within,
    text_bytes: usize,
    too_long: bool,
}

/// Where in the JSON the next byte stands.
#[derive(Clone, Copy)]
enum Within {
    Structure,
    Text,
    Escape,
}

impl<'r> Guard<'r> {
    pub(super) fn new(reader: &'r mut dyn Read, progress: &'r mut dyn FnMut(u64)) -> Self {
        let (block, within) = (Vec::new(), Within::Structure);
        Self { reader, progress, block, at: 0, passed: 0, within, text_bytes: 0, too_long: false }
    }

    /// Bytes handed on so far.
    pub(super) fn handed_on(&self) -> u64 {
        self.passed
    }

    /// Why it let nothing through any more.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.too_long.then_some((
            "too-large",
            "a text of more than 16 MiB",
            "shorter ones; is a quote missing?",
        ))
    }

    fn fill(&mut self) -> io::Result<()> {
        self.block.resize(BLOCK, 0);
        let length = loop {
            match self.reader.read(&mut self.block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.block.truncate(length);
        self.at = 0;
        (self.progress)(self.passed);
        Ok(())
    }

    fn watch(&mut self, byte: u8) -> io::Result<()> {
        self.within = match (self.within, byte) {
            (Within::Structure, b'"') => {
                self.text_bytes = 0;
                Within::Text
            }
            (Within::Structure, _) => Within::Structure,
            (Within::Text, b'"') => Within::Structure,
            (Within::Text, b'\\') => Within::Escape,
            (Within::Text | Within::Escape, _) => Within::Text,
        };
        self.text_bytes += 1;
        if matches!(self.within, Within::Text) && self.text_bytes > TEXT_BYTES_MAX {
            self.too_long = true;
            return Err(io::Error::other("a text of more than 16 MiB"));
        }
        Ok(())
    }
}

impl Read for Guard<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() {
            self.fill()?;
        }
        let count = into.len().min(self.block.len() - self.at);
        for slot in &mut into[..count] {
            let byte = self.block[self.at];
            self.watch(byte)?;
            *slot = byte;
            self.at += 1;
        }
        self.passed += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_an_end_is_refused_and_short_ones_are_not() {
        let mut endless = Read::chain(&b"{\"a\":\"\\\"b\",\""[..], io::repeat(b'x'));
        let mut silent = |_| {};
        let mut guard = Guard::new(&mut endless, &mut silent);
        let mut into = vec![0; 1 << 20];
        let failed = (0..80).any(|_| guard.read(&mut into).is_err());
        assert!(failed && guard.refusal().is_some());

        let mut many = Read::take(io::repeat(b'"'), 64 << 20);
        let mut guard = Guard::new(&mut many, &mut silent);
        let mut read = 0;
        while let Ok(count @ 1..) = guard.read(&mut into) {
            read += count;
        }
        assert_eq!(read, 64 << 20);
    }
}

//! How records and cursors are stored, version 1.
//!
//! A record:
//! ```text
//! byte      what
//! 0         version: 1
//! 1..5      CRC-32 (IEEE), little-endian, of row id (8 bytes), time (8 bytes, milliseconds), and all that follows
//! 5         flags: 1 has a key, 2 has a value
//! 6..       key: length, bytes (if flag 1)
//!           headers: count, then for each: length, name, length, value
//!           value: to the end (if flag 2)
//! ```
//! A cursor:
//! ```text
//! 0         version: 1
//! 1..5      CRC-32 of all that follows
//! 5..       floor; marked less floor; 0, or 1 and which was alone less floor
//!           count of settled ranges, then for each: begin less the end before (or the floor), length
//!           count of deliveries in vain, then for each: offset less the one before (or the floor), how many
//! ```
//! Numbers are LEB128 of at most ten bytes. A record's checksum covers row id and time, so that a record found
//! in the wrong place is no more believed than one with a flipped bit. SQLite's own checksums end where its log does.
//!
//! Golden files: `tests/golden/records-v1.txt`, and `tests/golden/state-v1.db` for the tables around it.

use crate::record::Record;
use bowline_lane::Cursor;
use bytes::{BufMut, Bytes};
use std::fmt;

/// What this version writes, and the only one that it reads so far.
pub const VERSION: u8 = 1;

/// Where the checksum's cover begins.
const CHECKED: usize = 5;
const HAS_KEY: u8 = 1;
const HAS_VALUE: u8 = 2;

/// Why stored bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatError {
    /// They end too early, or a length leads beyond their end.
    Short,
    /// Written by a version that this one does not know.
    Version(u8),
    /// The checksum is another one: bits have changed, or the record stands where it was not put.
    Checksum,
    /// The checksum is right and the content makes no sense: a fault of whoever wrote it.
    Content,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("ends too early"),
            Self::Version(found) => write!(f, "has format {found}, and this version reads {VERSION}"),
            Self::Checksum => f.write_str("does not match its checksum"),
            Self::Content => f.write_str("matches its checksum and is no record"),
        }
    }
}

impl std::error::Error for FormatError {}

/// A record's bytes, all but the checksum, which is known only when its place is: see [`seal`].
#[must_use]
pub fn encode(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded_len_max(record));
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
    let key = if record.key.is_some() { HAS_KEY } else { 0 };
    let value = if record.value.is_some() { HAS_VALUE } else { 0 };
    out.push(key | value);
    if let Some(key) = &record.key {
        put(&mut out, key);
    }
    put_number(&mut out, record.headers.len() as u64);
    for (name, value) in &record.headers {
        put(&mut out, name.as_bytes());
        put(&mut out, value);
    }
    if let Some(value) = &record.value {
        out.extend_from_slice(value);
    }
    out
}

/// Writes the checksum for the place where the record will stand.
pub fn seal(body: &mut [u8], row: i64, at_millis: i64) {
    let sum = checksum(&body[CHECKED..], row, at_millis);
    body[1..CHECKED].copy_from_slice(&sum.to_le_bytes());
}

/// The record that was stored at `row` at that time.
///
/// # Errors
/// [`FormatError`], if these are not the bytes that were stored there.
pub fn decode(body: &Bytes, row: i64, at_millis: i64) -> Result<Record, FormatError> {
    if stored_sum(body)? != checksum(&body[CHECKED..], row, at_millis) {
        return Err(FormatError::Checksum);
    }
    let mut rest = body.slice(CHECKED..);
    content(&mut rest).ok_or(FormatError::Content)
}

/// What follows the checksum; none if it is no record.
fn content(rest: &mut Bytes) -> Option<Record> {
    let flags = take(rest, 1)?[0];
    if flags & !(HAS_KEY | HAS_VALUE) != 0 {
        return None;
    }
    let key = if flags & HAS_KEY == 0 { None } else { Some(take_sized(rest)?) };
    let count = usize::try_from(take_number(rest)?).ok()?;
    // A header is two bytes at least: what claims more of them than fit is not believed, and nothing reserved for it.
    if count > rest.len() / 2 {
        return None;
    }
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        let name = take_sized(rest)?;
        headers.push((std::str::from_utf8(&name).ok()?.to_owned(), take_sized(rest)?));
    }
    let value = if flags & HAS_VALUE != 0 { Some(rest.clone()) } else { None };
    if value.is_none() && !rest.is_empty() {
        return None;
    }
    Some(Record { key, headers, value })
}

/// A cursor's bytes.
#[must_use]
pub fn encode_cursor(cursor: &Cursor) -> Vec<u8> {
    let mut out = vec![VERSION, 0, 0, 0, 0];
    put_number(&mut out, cursor.floor);
    put_number(&mut out, cursor.marked.saturating_sub(cursor.floor));
    match cursor.alone {
        None => out.push(0),
        Some(offset) => {
            out.push(1);
            put_number(&mut out, offset.saturating_sub(cursor.floor));
        }
    }
    put_number(&mut out, cursor.settled.len() as u64);
    let mut before = cursor.floor;
    for range in &cursor.settled {
        put_number(&mut out, range.start.saturating_sub(before));
        put_number(&mut out, range.end.saturating_sub(range.start));
        before = range.end;
    }
    put_number(&mut out, cursor.deliveries.len() as u64);
    let mut before = cursor.floor;
    for (offset, count) in &cursor.deliveries {
        put_number(&mut out, offset.saturating_sub(before));
        put_number(&mut out, u64::from(*count));
        before = *offset;
    }
    let sum = crc32fast::hash(&out[CHECKED..]);
    out[1..CHECKED].copy_from_slice(&sum.to_le_bytes());
    out
}

/// The cursor that was stored.
///
/// # Errors
/// [`FormatError`], if these are no cursor's bytes.
pub fn decode_cursor(body: &Bytes) -> Result<Cursor, FormatError> {
    if stored_sum(body)? != crc32fast::hash(&body[CHECKED..]) {
        return Err(FormatError::Checksum);
    }
    cursor(&mut body.slice(CHECKED..)).ok_or(FormatError::Content)
}

/// What follows a cursor's checksum; none if it is no cursor.
fn cursor(rest: &mut Bytes) -> Option<Cursor> {
    let floor = take_number(rest)?;
    let mut cursor = Cursor::starting_at(floor);
    cursor.marked = floor.checked_add(take_number(rest)?)?;
    cursor.alone = match take_number(rest)? {
        0 => None,
        1 => Some(floor.checked_add(take_number(rest)?)?),
        _ => return None,
    };
    let mut before = floor;
    for _ in 0..take_number(rest)? {
        let start = before.checked_add(take_number(rest)?)?;
        let end = start.checked_add(take_number(rest)?)?;
        cursor.settled.push(start..end);
        before = end;
    }
    let mut before = floor;
    for _ in 0..take_number(rest)? {
        let offset = before.checked_add(take_number(rest)?)?;
        cursor.deliveries.insert(offset, u32::try_from(take_number(rest)?).ok()?);
        before = offset;
    }
    rest.is_empty().then_some(cursor)
}

/// The checksum that is written in front, of a version that is known.
fn stored_sum(body: &Bytes) -> Result<u32, FormatError> {
    let version = *body.first().ok_or(FormatError::Short)?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    let sum = body.get(1..CHECKED).and_then(|sum| sum.try_into().ok()).ok_or(FormatError::Short)?;
    Ok(u32::from_le_bytes(sum))
}

fn checksum(content: &[u8], row: i64, at_millis: i64) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&row.to_le_bytes());
    sum.update(&at_millis.to_le_bytes());
    sum.update(content);
    sum.finalize()
}

fn encoded_len_max(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum();
    let sized = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, |bytes| bytes.len() + 5);
    CHECKED + 6 + sized(&record.key) + headers + sized(&record.value)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    let mut left = number;
    while left >= 0x80 {
        out.put_u8((left as u8 & 0x7f) | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
}

fn take(rest: &mut Bytes, len: usize) -> Option<Bytes> {
    (len <= rest.len()).then(|| rest.split_to(len))
}

fn take_sized(rest: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(take_number(rest)?).ok()?;
    take(rest, len)
}

fn take_number(rest: &mut Bytes) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = take(rest, 1)?[0];
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_model::{Random, SplitMix64};

    fn sealed(record: &Record) -> Bytes {
        let mut body = encode(record);
        seal(&mut body, 7, 1_000);
        Bytes::from(body)
    }

    fn bytes(random: &mut SplitMix64, max: u64) -> Bytes {
        let len = random.below(max + 1);
        (0..len).map(|_| random.next_u64() as u8).collect()
    }

    fn some_record(random: &mut SplitMix64) -> Record {
        let headers = (0..random.below(4)).map(|n| (format!("h{n}"), bytes(random, 200))).collect();
        Record {
            key: (random.below(2) == 0).then(|| bytes(random, 300)),
            headers,
            value: (random.below(4) != 0).then(|| bytes(random, 2_000)),
        }
    }

    #[test]
    fn what_is_stored_is_read() {
        let seed = 11;
        println!("seed {seed}");
        let mut random = SplitMix64::new(seed);
        for _ in 0..500 {
            let record = some_record(&mut random);
            assert_eq!(decode(&sealed(&record), 7, 1_000), Ok(record));
        }
    }

    fn some_cursor(random: &mut SplitMix64) -> Cursor {
        let floor = random.below(1 << 40);
        let mut cursor = Cursor::starting_at(floor);
        cursor.marked = floor + random.below(1_000);
        cursor.alone = (random.below(2) == 0).then(|| floor + random.below(100));
        let mut at = floor;
        for _ in 0..random.below(20) {
            let start = at + 1 + random.below(10);
            at = start + 1 + random.below(10);
            cursor.settled.push(start..at);
        }
        for _ in 0..random.below(20) {
            cursor.deliveries.insert(floor + random.below(300), random.below(1 << 20) as u32);
        }
        cursor
    }

    #[test]
    fn a_cursor_is_read_as_it_was_stored_and_a_damaged_one_is_not() {
        let seed = 13;
        println!("seed {seed}");
        let mut random = SplitMix64::new(seed);
        for _ in 0..200 {
            let cursor = some_cursor(&mut random);
            let good = Bytes::from(encode_cursor(&cursor));
            assert_eq!(decode_cursor(&good), Ok(cursor));
            let mut bad = good.to_vec();
            let bit = random.below(bad.len() as u64 * 8) as usize;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode_cursor(&Bytes::from(bad)).is_err(), "bit {bit}");
            assert!(decode_cursor(&good.slice(..good.len() - 1)).is_err());
        }
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let record = Record::new("A47", "two pieces").with_header("type", "reserved");
        let good = sealed(&record);
        for bit in 0..good.len() * 8 {
            let mut bad = good.to_vec();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&Bytes::from(bad), 7, 1_000).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_record_in_the_wrong_place_is_noticed() {
        let body = sealed(&Record::unkeyed("x"));
        assert_eq!(decode(&body, 8, 1_000), Err(FormatError::Checksum));
        assert_eq!(decode(&body, 7, 1_001), Err(FormatError::Checksum));
    }

    #[test]
    fn any_cut_is_noticed() {
        let good = sealed(&Record::new("A47", "two pieces"));
        for len in 0..good.len() {
            assert!(decode(&good.slice(..len), 7, 1_000).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn any_bytes_under_a_right_checksum_are_a_record_or_an_error() {
        let seed = 12;
        println!("seed {seed}");
        let mut random = SplitMix64::new(seed);
        for _ in 0..20_000 {
            let mut body = vec![VERSION, 0, 0, 0, 0];
            body.extend_from_slice(&bytes(&mut random, 40));
            seal(&mut body, 7, 1_000);
            match decode(&Bytes::from(body), 7, 1_000) {
                Ok(_) | Err(FormatError::Content) => (),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_later_format_is_refused_by_its_number() {
        let mut body = sealed(&Record::unkeyed("x")).to_vec();
        body[0] = 2;
        let error = decode(&Bytes::from(body), 7, 1_000).unwrap_err();
        assert_eq!(error.to_string(), "has format 2, and this version reads 1");
    }
}

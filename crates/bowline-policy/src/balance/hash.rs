//! The hash that consistent balancing goes by.

/// A hash of `bytes` whose bits are all well spread, the same on every machine and in every version: a
/// caller who comes back after an update finds his host again.
///
/// FNV-1a (Fowler, Noll, Vo) over the bytes, then the finalizer of SplitMix64, because FNV's upper bits
/// hardly depend on the last byte and a ring is cut by its upper bits.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv)
}

/// Spreads every bit of `z` over all others.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_lie_far_apart() {
        let hashes: Vec<u64> = (0..1_000_u32).map(|n| hash(format!("user-{n}").as_bytes())).collect();
        for bit in 0..64 {
            let set = hashes.iter().filter(|hash| **hash >> bit & 1 == 1).count();
            assert!((400..=600).contains(&set), "bit {bit} is set in {set} of 1000");
        }
    }

    #[test]
    fn the_hash_never_changes() {
        // Written down once: another number here sends every caller to another host.
        assert_eq!(hash(b""), mix(0xcbf2_9ce4_8422_2325));
        assert_ne!(hash(b"a"), hash(b"b"));
    }
}

//! Where a hash leads: a ring, or Maglev's table.
//!
//! Both keep nearly every caller where he was when a host comes or goes. The ring is the better known, the
//! table the more even, and one access instead of a search. Hosts that may not be picked are walked past,
//! so that only their callers move, and come back with them.

use super::draw::{Field, Member};
use super::hash::{hash, mix};

#[derive(Debug)]
pub(super) enum Table {
    /// Points on the circle of all hashes, each belonging to the host of the next one.
    Ring(Box<[(u64, u16)]>),
    /// A host for each remainder.
    Maglev(Box<[u16]>),
}

impl Table {
    /// A ring of at least `size_min` points.
    pub(super) fn ring(members: &[Member], size_min: u32) -> Self {
        let total: f64 = members.iter().map(|member| f64::from(member.weight)).sum();
        let mut points = Vec::new();
        for (index, Member { host, weight }) in members.iter().enumerate() {
            let own = (f64::from(size_min.max(1)) * f64::from(*weight) / total).ceil() as u64;
            let seed = hash(host.key().as_bytes());
            points
                .extend((0..own.max(1)).map(|point| (mix(seed.wrapping_add(mix(point + 1))), index as u16)));
        }
        points.sort_unstable();
        Self::Ring(points.into())
    }

    /// A table of `size` entries, or the next prime's: only a prime lets every host's walk reach them all.
    pub(super) fn maglev(members: &[Member], size: u32) -> Self {
        if members.is_empty() {
            return Self::Maglev(Box::default());
        }
        let size = next_prime(size.max(2).max(members.len() as u32));
        let mut walks: Vec<(u64, u64)> = members
            .iter()
            .map(|member| {
                let seed = hash(member.host.key().as_bytes());
                (seed % u64::from(size), mix(seed) % (u64::from(size) - 1) + 1)
            })
            .collect();
        // A host takes an entry in each round for which its share, so far, is owed one.
        let mut taken = vec![0_u32; members.len()];
        let mut entries = vec![None; size as usize];
        let mut left = size;
        for round in 1_u32.. {
            for (index, Member { weight, .. }) in members.iter().enumerate() {
                if round as f32 * weight <= taken[index] as f32 {
                    continue;
                }
                let (at, step) = &mut walks[index];
                while entries[*at as usize].is_some() {
                    *at = (*at + *step) % u64::from(size);
                }
                entries[*at as usize] = Some(index as u16);
                taken[index] += 1;
                left -= 1;
                if left == 0 {
                    return Self::Maglev(entries.into_iter().flatten().collect());
                }
            }
        }
        Self::Maglev(Box::default())
    }

    /// The first host that `hash` leads to and that may be picked.
    pub(super) fn lookup(&self, hash: u64, field: &Field<'_>) -> Option<usize> {
        let may = |host: u16| Some(usize::from(host)).filter(|index| field.may(*index));
        match self {
            Self::Ring(points) => {
                let at = points.partition_point(|(point, _)| *point < hash);
                let (before, after) = points.split_at(at);
                after.iter().chain(before).find_map(|(_, host)| may(*host))
            }
            Self::Maglev(entries) => {
                let at = hash.checked_rem(entries.len() as u64)? as usize;
                // Each host owns entries everywhere, so whoever comes next is as good as drawn.
                let (before, after) = entries.split_at(at);
                after.iter().chain(before).find_map(|host| may(*host))
            }
        }
    }
}

fn next_prime(from: u32) -> u32 {
    let is_prime = |n: u32| (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    (from..).find(|n| is_prime(*n)).unwrap_or(65_537)
}

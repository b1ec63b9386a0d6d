//! Random numbers that do not move when something else changes.
//!
//! Why draws are addressed and not taken in turn. With one generator, or one for each service, a retry more
//! in one arm shifts every draw after it, and two arms differ by luck as well as by design. Here a draw is a
//! function of the seed, of whose it is (a name), of what for, and of which request, which call of the
//! program and which try it belongs to. The third request's first payment takes the same time in every arm,
//! whatever happened before: common random numbers, which is what makes differences between arms small
//! enough to see.

use bowline_model::{Random, SplitMix64};

/// What a stream is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Arrivals = 1,
    Work,
    Choice,
    /// A message to the callee.
    There,
    /// A message back.
    Back,
    /// Back-off and other jitter of the policies.
    Policy,
    /// What faults of a call's own policy are drawn from.
    Injection,
    /// Faults of the world.
    Fault,
    Key,
    Client,
    Broker,
    Backoff,
}

/// Which draw: of one request, at one call of the program, in one try of one try of ..
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draw {
    pub(crate) request: u64,
    /// Tells apart the calls that lead to one operation.
    pub(crate) site: u32,
    /// Tells apart the tries, those of callers included; zero is a first try of a first try.
    pub(crate) attempt: u32,
}

impl Draw {
    /// The draw of the try `number` (from one) of a call at `site`.
    ///
    /// A path of calls and a path of tries are folded into one number each. First tries of first calls leave
    /// them at zero, so an operation draws the same whether a request reaches it directly, through another
    /// service, or by a record.
    pub(crate) const fn of_try(self, site: u32, number: u32) -> Self {
        let site = self.site.wrapping_mul(31).wrapping_add(site);
        let attempt = self.attempt.wrapping_mul(31).wrapping_add(number - 1);
        Self { request: self.request, site, attempt }
    }

    /// A draw of its own within this one.
    pub(crate) const fn at(self, place: u32) -> Self {
        // A prime keeps neighbouring places and neighbouring sites apart.
        Self { site: self.site ^ place.wrapping_mul(0x0100_0193), ..self }
    }
}

/// The stream of an entity: its kind and its names.
pub(crate) fn of(names: &[&str]) -> u64 {
    let mut hash = 0_u64;
    for name in names {
        for chunk in name.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            hash = mixed(hash ^ u64::from_le_bytes(bytes));
        }
        // Where one name ends and the next begins matters: ("ab", "c") is not ("a", "bc").
        hash = mixed(hash ^ (name.len() as u64) << 32);
    }
    hash
}

/// A generator for one draw.
#[inline]
pub(crate) fn draw(seed: u64, stream: u64, purpose: Purpose, draw: Draw) -> SplitMix64 {
    let which = (u64::from(draw.site) << 32) | u64::from(draw.attempt);
    let entity = seed ^ stream.wrapping_add(purpose as u64);
    SplitMix64::new(mixed(mixed(mixed(entity) ^ draw.request) ^ which))
}

/// A generator that is used up in order, by one user alone.
pub(crate) fn sequence(seed: u64, stream: u64, purpose: Purpose) -> SplitMix64 {
    draw(seed, stream, purpose, Draw::default())
}

/// One step of SplitMix64 from `value`: every bit of it reaches every bit of the result.
#[inline]
fn mixed(value: u64) -> u64 {
    SplitMix64::new(value).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_that_read_the_same_together_are_not_the_same() {
        let streams = [of(&["ab", "c"]), of(&["a", "bc"]), of(&["abc"]), of(&["abc", ""]), of(&[])];
        assert_eq!(streams.iter().collect::<BTreeSet<_>>().len(), streams.len());
    }

    #[test]
    fn every_address_draws_something_else() {
        let mut seen = BTreeSet::new();
        for request in 0..20 {
            for site in 0..10 {
                for attempt in 0..10 {
                    for purpose in [Purpose::Work, Purpose::There] {
                        seen.insert(draw(7, of(&["a"]), purpose, Draw { request, site, attempt }).next_u64());
                    }
                }
            }
        }
        assert_eq!(seen.len(), 20 * 10 * 10 * 2);
    }

    #[test]
    fn draws_of_neighbours_are_independent() {
        // The mean of products of neighbours' deviations is zero within four standard deviations.
        let unit = |request, site| draw(3, 9, Purpose::Work, Draw { request, site, attempt: 0 }).unit() - 0.5;
        let n = 100_000;
        let by_request: f64 = (0..n).map(|i| unit(i, 0) * unit(i + 1, 0)).sum::<f64>() / n as f64;
        let by_site: f64 = (0..n).map(|i| unit(i, 0) * unit(i, 1)).sum::<f64>() / n as f64;
        let bound = 4.0 / 12.0 / (n as f64).sqrt();
        assert!(by_request.abs() < bound && by_site.abs() < bound, "{by_request} {by_site}");
    }

    #[test]
    fn first_tries_of_first_tries_draw_the_same_in_every_arm() {
        let root = Draw { request: 5, site: 0, attempt: 0 };
        assert_eq!(root.of_try(0, 1).of_try(0, 1), root);
        assert_ne!(root.of_try(0, 2).of_try(0, 1), root.of_try(0, 1).of_try(0, 2).of_try(0, 2));
        assert_ne!(root.of_try(1, 1).of_try(0, 1), root.of_try(0, 1).of_try(0, 1));
    }
}

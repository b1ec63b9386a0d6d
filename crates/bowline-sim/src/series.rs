//! What happened, second by second, in bounded memory.

use std::time::Duration;

/// What happened, interval by interval.
///
/// Intervals are seconds. When there are [`Series::POINTS_MAX`] of them, neighbours are put together and the
/// intervals are twice as long: a run of a day has as many points as one of twenty minutes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    /// Seconds that a point stands for.
    pub seconds: u32,
    /// The points; the first begins with the run.
    pub points: Vec<Point>,
}

/// One interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Point {
    /// Requests that arrived.
    pub offered: u64,
    /// Requests that got a final, good answer.
    pub answered: u64,
    /// Requests that were accepted (202).
    pub accepted: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were completed.
    pub completed: u64,
    /// Tries sent, over all edges.
    pub tries: u64,
    /// Requests to services that were worked on to the end.
    pub worked: u64,
    /// The sum of the answered requests' times, in nanoseconds, for a mean.
    pub answered_ns: u64,
    /// The longest time of a request that was answered.
    pub answered_max_ns: u64,
    /// The most requests that waited in front of services.
    pub queue: u64,
    /// The most records that were not yet processed.
    pub backlog: u64,
    /// The age of the oldest record not yet processed, at its greatest, in nanoseconds.
    pub lag_ns: u64,
    /// The most breakers that were not closed.
    pub breakers_open: u32,
    /// Requests that were not done with, at their most.
    pub in_flight: u32,
}

impl Series {
    /// The most points: seventeen minutes of seconds. A page has fewer pixels.
    pub const POINTS_MAX: usize = 1_024;

    /// How long a point is.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_secs(self.seconds as u64)
    }

    /// Adds what happened in the second that `at_ns` lies in.
    pub(crate) fn add(&mut self, at_ns: u64, second: &Point) {
        let mut index = self.index(at_ns);
        while Self::POINTS_MAX <= index {
            self.coarsen();
            index = self.index(at_ns);
        }
        if self.points.len() <= index {
            self.points.resize(index + 1, Point::default());
        }
        self.points[index] = self.points[index].and(second);
    }

    const fn index(&self, at_ns: u64) -> usize {
        (at_ns / (self.seconds as u64 * 1_000_000_000)) as usize
    }

    /// The points, put together until each stands for `seconds`: its own or a power of two times that.
    pub(crate) fn coarse(&self, seconds: u32) -> Vec<Point> {
        let mut series = self.clone();
        while series.seconds < seconds {
            series.coarsen();
        }
        series.points
    }

    fn coarsen(&mut self) {
        let pairs = self.points.chunks(2).map(|pair| match pair {
            [first, second] => first.and(second),
            _ => pair[0],
        });
        self.points = pairs.collect();
        self.seconds *= 2;
    }
}

impl Default for Series {
    fn default() -> Self {
        Self { seconds: 1, points: Vec::new() }
    }
}

impl Point {
    /// Counts add up, heights are the higher one.
    fn and(&self, other: &Self) -> Self {
        Self {
            offered: self.offered + other.offered,
            answered: self.answered + other.answered,
            accepted: self.accepted + other.accepted,
            failed: self.failed + other.failed,
            completed: self.completed + other.completed,
            tries: self.tries + other.tries,
            worked: self.worked + other.worked,
            answered_ns: self.answered_ns + other.answered_ns,
            answered_max_ns: self.answered_max_ns.max(other.answered_max_ns),
            queue: self.queue.max(other.queue),
            backlog: self.backlog.max(other.backlog),
            lag_ns: self.lag_ns.max(other.lag_ns),
            breakers_open: self.breakers_open.max(other.breakers_open),
            in_flight: self.in_flight.max(other.in_flight),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_as_many_points_as_a_short_one_and_the_same_sums() {
        let mut series = Series::default();
        let day = 24 * 3_600;
        for second in 0..day {
            series.add(second * 1_000_000_000, &Point { offered: 1, queue: second, ..Point::default() });
        }
        assert_eq!(series.seconds, 128);
        assert!(series.points.len() <= Series::POINTS_MAX);
        assert_eq!(series.points.iter().map(|point| point.offered).sum::<u64>(), day);
        assert_eq!(series.points[0].queue, 127);
    }
}

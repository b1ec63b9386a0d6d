//! What came of every request.

use crate::cuts::Cuts;
use std::cell::RefCell;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What callers speak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Http1,
    Http2,
    Grpc,
}

/// How one request ended, as its caller saw it.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// A whole and good answer.
    Good,
    /// A whole answer that says it failed: why.
    Failed(String),
    /// An answer that began and broke off, or a stream that was reset.
    Broken(String),
    /// The connection ended without an answer, or none came: nobody did that on purpose.
    Lost(String),
    /// Its own connection was cut.
    Cut,
}

/// The cuts explain a failure that was under way with one of them, and so much earlier: a connection may be found dead
/// some time after it was cut.
const BEFORE: Duration = Duration::from_millis(5);
/// As many stories are kept.
const STORIES_MAX: usize = 10;

pub(crate) struct Told {
    callee_cuts: Rc<Cuts>,
    sums: RefCell<[Sums; 3]>,
    stories: RefCell<Vec<String>>,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    sent: u64,
    good: u64,
    explained: u64,
    unexplained: u64,
    lost: u64,
    cut: u64,
}

impl Told {
    pub(crate) fn new(callee_cuts: Rc<Cuts>) -> Self {
        Self { callee_cuts, sums: RefCell::default(), stories: RefCell::default() }
    }

    /// A request of this kind was sent at `sent` and has ended now.
    pub(crate) fn ended(&self, kind: Kind, sent: Instant, end: End) {
        let sums = &mut self.sums.borrow_mut()[kind as usize];
        sums.sent += 1;
        let (which, why) = match end {
            End::Good => return sums.good += 1,
            End::Cut => return sums.cut += 1,
            End::Lost(why) => (&mut sums.lost, why),
            End::Failed(why) | End::Broken(why) => {
                let now = crate::now();
                if self.callee_cuts.was_one_between(sent.checked_sub(BEFORE).unwrap_or(sent), now) {
                    return sums.explained += 1;
                }
                (&mut sums.unexplained, why)
            }
        };
        *which += 1;
        let mut stories = self.stories.borrow_mut();
        if stories.len() < STORIES_MAX {
            stories.push(format!("{kind:?}: {why}"));
        }
    }

    /// One line.
    pub(crate) fn json(&self, callers_cut: usize, callees_cut: usize) -> String {
        let mut line = format!("{{\"callers_cut\":{callers_cut},\"callees_cut\":{callees_cut}");
        for (kind, sums) in ["http1", "http2", "grpc"].into_iter().zip(&*self.sums.borrow()) {
            let Sums { sent, good, explained, unexplained, lost, cut } = sums;
            let _ = write!(
                line,
                ",\"{kind}\":{{\"sent\":{sent},\"good\":{good},\"explained\":{explained},\"unexplained\":{unexplained},\
                 \"lost\":{lost},\"cut\":{cut}}}"
            );
        }
        let stories: Vec<String> = self
            .stories
            .borrow()
            .iter()
            .map(|story| format!("\"{}\"", story.replace(['"', '\\'], "'").replace(char::is_control, " ")))
            .collect();
        let _ = write!(line, ",\"stories\":[{}]}}", stories.join(","));
        line
    }
}

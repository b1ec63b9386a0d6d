//! Many runs on many threads, the same results on any number of them.

use crate::run::{Endless, Run, RunSpec, run};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// Runs all of `specs` on `threads` threads and returns the runs in the order of their specifications; how
/// many threads there are and which is done first shows in nothing.
///
/// `done` is told on the caller's thread how many runs are over, each time one is. If it breaks off, or a run turns
/// out to be [`Endless`], runs under way are stopped, and only those that were over by then are `Some`.
pub fn run_all(
    specs: &[RunSpec],
    threads: NonZeroUsize,
    done: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Vec<Option<Run>> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let mut runs: Vec<Option<Run>> = specs.iter().map(|_| None).collect();
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads.get().min(specs.len()) {
            let (tell, next, stopped) = (tell.clone(), &next, &stopped);
            scope.spawn(move || {
                let mut go_on = |_| {
                    if stopped.load(Ordering::Relaxed) {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                };
                while let Some(index) = claim(next, specs.len()) {
                    let run = run(&specs[index], &mut go_on);
                    if stopped.load(Ordering::Relaxed) || tell.send((index, run)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for (count, (index, run)) in told.into_iter().enumerate() {
            let is_endless = Endless::first([Some(&run)]).is_some();
            runs[index] = Some(run);
            if is_endless || done(count + 1).is_break() {
                stopped.store(true, Ordering::Relaxed);
                return;
            }
        }
    });
    runs
}

/// The next specification that nobody runs yet.
fn claim(next: &AtomicUsize, length: usize) -> Option<usize> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    (index < length).then_some(index)
}

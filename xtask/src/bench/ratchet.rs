//! The ratchet: a proxied request takes no more instructions than the number that is committed.
//!
//! A change that makes it cheaper lowers the number in `xtask/bench/instructions.txt`; one that makes
//! it dearer has to say why in the same commit.

use super::measure::Bench;
use super::protocol::Protocol;
use super::{callgrind, proxy};
use crate::Stop;
use std::path::Path;

/// Never more than this, whatever is committed.
pub(super) const CEILING: u32 = 45_000;
/// Between two runs of one program on one machine the count moves by 0.1 %; the C library chooses its
/// string functions by the processor, which moves it a little further.
const TOLERANCE_PERCENT: u32 = 1;

const FILE: &str = "xtask/bench/instructions.txt";

/// Counts, and compares with what is committed.
pub(crate) fn step(root: &Path) -> Result<String, Stop> {
    let text = std::fs::read_to_string(root.join(FILE)).map_err(|e| Stop::Broken(format!("{FILE}: {e}")))?;
    let committed = committed(&text).ok_or_else(|| Stop::Broken(format!("{FILE} holds no number")))?;
    proxy::build_bowline(root)?;
    // The load need not be quick here: this very program, as it was built, will do.
    let this =
        std::env::current_exe().map_err(|e| Stop::Missing(format!("cannot find this program: {e}")))?;
    let bench = Bench { root, this: &this, protocol: Protocol::Http1 };
    let counted = callgrind::alone(&bench)?;
    judge(counted, committed).map_err(Stop::Broken)
}

/// The first line that is a number; `#` begins a comment.
fn committed(text: &str) -> Option<u32> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| line.trim().parse().ok())
}

fn judge(counted: f64, committed: u32) -> Result<String, String> {
    let limit = f64::from(committed) * f64::from(100 + TOLERANCE_PERCENT) / 100.0;
    if counted > f64::from(CEILING) {
        return Err(format!("{counted} instructions a request; never more than {CEILING}"));
    }
    if counted > limit {
        return Err(format!(
            "{counted} instructions a request; committed are {committed} (+{TOLERANCE_PERCENT} %)\n\
             find what made it dearer, or commit the new number in {FILE} and say why"
        ));
    }
    let lower = f64::from(committed) * f64::from(100 - TOLERANCE_PERCENT) / 100.0;
    let advice = if counted < lower { format!("; lower {FILE}") } else { String::new() };
    Ok(format!("{counted} instructions a request, committed are {committed}{advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_number_is_read_past_its_comments() {
        assert_eq!(committed("# instructions\n\n39800\n"), Some(39_800));
        assert_eq!(committed("# instructions\n"), None);
    }

    #[test]
    fn a_count_within_the_tolerance_passes() {
        assert!(judge(40_000.0, 40_000).is_ok());
        assert!(judge(40_400.0, 40_000).is_ok());
    }

    #[test]
    fn a_dearer_request_fails() {
        assert!(judge(40_401.0, 40_000).is_err());
    }

    #[test]
    fn nothing_above_the_ceiling_passes() {
        assert!(judge(45_001.0, 50_000).is_err());
    }

    #[test]
    fn a_cheaper_request_asks_for_a_lower_number() {
        assert!(judge(39_000.0, 40_000).expect("it passes").ends_with("lower xtask/bench/instructions.txt"));
    }
}

//! When a guard rejects calls that its callee would not accept, as one writes it in code.

use bowline_policy::AdmissionSettings;
use std::time::Duration;

/// Rejects calls here, by chance, while the callee accepts too few of them: what it is asked stays below a multiple
/// of what it accepts. Nothing was sent then.
///
/// The algorithm is that of Google's SRE book, "Handling Overload"; the defaults are the book's: twice what is
/// accepted, over two minutes. Fewer than 20 calls prove nothing, and one call in twenty always passes.
///
/// ```
/// use bowline::{Admission, Spans};
///
/// // Rejects here, by chance, what is beyond one and a half times the calls that the callee accepted in half a minute.
/// let admission = Admission::default().times(1.5).window(30.s());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "hand it to `Guard::admission`"]
pub struct Admission {
    pub(crate) settings: AdmissionSettings,
}

impl Admission {
    /// So many calls for each that is accepted, 1 to 100; anything beyond counts as the nearer of both.
    pub fn times(mut self, multiplier: f64) -> Self {
        self.settings.multiplier = (multiplier.clamp(1.0, 100.0) * 1e3).round() as u32;
        self
    }

    /// How far back is counted.
    pub fn window(mut self, window: Duration) -> Self {
        self.settings.window = window;
        self
    }

    /// Fewer calls in the window than this prove nothing.
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.settings.min_calls = calls;
        self
    }
}

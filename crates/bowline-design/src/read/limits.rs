//! Why a design has limits: it may be piped in from a stranger's cluster, and reading it must cost
//! what its size suggests. Each limit is far above what people write and far below what hurts.

/// Bytes of one text. A namespace of five thousand VirtualServices is about six of these eight MiB.
pub(crate) const BYTES_MAX: usize = 8 << 20;

/// Values in one text, with each alias counted as what it stands for. A text of [`BYTES_MAX`] holds
/// fewer than half of them without aliases; nine levels of nine aliases would be 387 million.
pub(crate) const NODES_MAX: usize = 1_000_000;

/// Lists and mappings inside one another. Istio's deepest field is 14 levels down; readers recurse, and
/// 64 levels fit into the smallest stack a thread gets.
pub(crate) const DEPTH_MAX: usize = 64;

/// Documents in one text, those of a `kind: List` included.
pub(crate) const DOCUMENTS_MAX: usize = 20_000;

/// Mistakes kept. Nobody reads the thousandth; the rest is counted.
pub(crate) const MISTAKES_MAX: usize = 1_000;

/// Overlays of one design. Each is a whole design to work out; an experiment of more than a few arms is a
/// sweep.
pub(crate) const OVERLAYS_MAX: usize = 32;

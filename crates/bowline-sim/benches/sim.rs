//! Events a second.

fn main() {}

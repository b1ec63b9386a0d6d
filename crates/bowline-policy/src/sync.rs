//! Locks and atomics: the standard library's, or loom's for the model check.

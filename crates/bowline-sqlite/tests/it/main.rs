//! The store from outside.

mod folder;
mod format;
mod groups;
mod kill;
mod start;
mod topics;
mod upkeep;
mod writes;

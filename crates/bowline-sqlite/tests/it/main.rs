//! The store from outside.

mod folder;
mod format;
mod groups;
mod kill;
mod power;
mod start;
mod topics;
mod upkeep;
mod writes;

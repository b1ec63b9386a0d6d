//! The shop as a whole: four services, real sockets, real files.

mod crash;
mod ordering;
mod repeating;
mod town;

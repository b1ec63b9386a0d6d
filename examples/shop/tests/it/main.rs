//! The shop as a whole: four services, real sockets, real files.

mod crash;
mod design;
mod ordering;
mod repeating;
mod settling;
mod town;

//! What must hold whatever happens, and that the code that decides is production's.

mod conserved;
mod same_code;

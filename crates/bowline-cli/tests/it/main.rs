//! The real program, from end to end: started, asked over real sockets, broken, told to stop.
//!
//! In reading order:
//! - [`world`]: `bowline up` in a folder and on ports of its own; [`designs`]: what it runs
//! - [`http`], [`callee`], [`load`]: both sides of HTTP, in the test's own process
//! - `first_command`, `stopping`: the first five minutes, and that nothing is left of them
//! - `faults`, `deadlines`, `breaker`, `effects`: what the design says about failures is what happens
//! - `reload`, `replace`, `drain`: changes without a lost request
//! - `simulating`: the verbs of virtual time; `importing`: designs out of what others have
//! - `grpc`: three libraries, each with each; `middleware`: services in four languages hand deadline and trace on
//! - `callers`: the shop's services called by a client in Python, through the mesh
//! - `access`: who is let through
//! - `traces`: spans as a collector sees them
//! - `checking`: exceptions, SARIF, what an edit would do
//! - `watching`, `guards`, `local_api`, `manners`: what is said about it, and how

mod access;
mod breaker;
mod callee;
mod callers;
mod checking;
mod clock;
mod deadlines;
mod designs;
mod drain;
mod effects;
mod faults;
mod first_command;
mod grpc;
mod guards;
mod http;
mod importing;
mod load;
mod local_api;
mod manners;
mod middleware;
mod reload;
mod replace;
mod simulating;
mod stopping;
mod traces;
mod watching;
mod world;

//! What the documentation shows is what the program does.
//!
//! In reading order:
//! - [`pages`]: the documents, their code blocks and tables
//! - [`console`]: commands of "console run" blocks, run, and their output compared
//! - [`shop`]: a running shop for the blocks that need one
//! - `commands`: every such block of every page
//! - `tls`: those of the page on TLS, which need a gateway of their own
//! - `designs`: every design in a "yaml" block loads, and finds what it says
//! - `code`: Rust in the guide is Rust that the library's own documentation tests
//! - `strangers`: how often `check` is wrong, as the guide counts it
//! - `names`: flags, rules, fields, metrics, reasons, limits and links, both ways

mod clock;
mod code;
mod commands;
mod console;
mod designs;
mod names;
mod pages;
mod shop;
mod strangers;
mod tls;

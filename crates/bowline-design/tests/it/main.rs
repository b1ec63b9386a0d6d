//! What the loader takes, and what it says about the rest.

mod support;

mod access;
mod fields;
mod foreign;
mod istio;
mod limits;
mod ours;
mod overlays;
mod records;
mod rendering;
mod routes;
mod scenarios;
mod schema;

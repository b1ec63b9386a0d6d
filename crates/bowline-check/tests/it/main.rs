//! The rules over whole designs. Every test is data for [`support::check`], which also applies every
//! suggested edit and checks again.

mod article;
mod breakers;
mod budgets;
mod cycles;
mod deadlines;
mod dependencies;
mod effects;
mod exceptions;
mod generated;
mod grpc;
mod layers;
mod odd_texts;
mod queues;
mod sarif;
mod strangers;
mod support;
mod timeouts;
mod yaml;

//! What the consumer does, seen from outside.

mod consumer;
mod histories;
mod walk;
mod world;

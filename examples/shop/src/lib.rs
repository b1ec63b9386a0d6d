//! The order system: four small services, one program, nothing between them but HTTP and gRPC.
//!
//! `orders` takes an order, asks `payment` to authorize the money, `inventory` to put the goods aside,
//! `payment` again to capture, and `notification` to tell the customer. Each has a database of its own,
//! so no transaction spans two of them: what happens when one fails half-way is the whole subject.
//!
//! In reading order:
//! - [`orders`]: the service with the interesting failures; its calls are guarded by the library
//! - [`payment`] (gRPC), [`inventory`] (HTTP): services whose effects must happen once, however often they are
//!   asked
//! - [`notification`]: a service that cannot promise that, and says so
//! - [`once`]: how an effect happens once a key; [`store`]: one SQLite file, one writer, one sync for many
//! - [`money`], [`reply`], [`client`], [`serve`]: what an amount, an answer, a call and a service are

pub mod client;
pub mod inventory;
pub mod money;
pub mod notification;
pub mod once;
pub mod orders;
pub mod payment;
pub mod reply;
pub mod serve;
pub mod settings;
pub mod store;

pub use serve::{Running, start};
pub use settings::{Peers, Service, Settings};

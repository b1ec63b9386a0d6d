//! Which service to be, where to listen, where to keep the data.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// How to call the program.
pub const USAGE: &str = "\
usage: shop SERVICE [OPTIONS]

  SERVICE               orders | payment | inventory | notification
  --listen ADDR         where to listen (127.0.0.1 and 7101, 7102, 7103, 7104 in this order; port 0: any)
  --data DIR            where the databases are (.bowline/shop, or what SHOP_DATA says)
  --payment ADDR        where orders finds payment (127.0.0.1:7102)
  --inventory ADDR      where orders finds inventory (127.0.0.1:7103)
  --notification ADDR   where orders finds notification (127.0.0.1:7104)
  --verbose             one line on stderr for each request";

/// One of the four services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Takes orders.
    Orders,
    /// Holds, takes and lets go of money.
    Payment,
    /// Puts goods aside and back.
    Inventory,
    /// Tells the customer.
    Notification,
}

impl Service {
    /// All four, in the order of their ports.
    pub const ALL: [Self; 4] = [Self::Orders, Self::Payment, Self::Inventory, Self::Notification];

    /// Its name: the first argument, the name of its database file and its name in the design.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Payment => "payment",
            Self::Inventory => "inventory",
            Self::Notification => "notification",
        }
    }

    /// Where it listens unless told otherwise. The design names the same addresses.
    #[must_use]
    pub const fn address(self) -> SocketAddr {
        let port = match self {
            Self::Orders => 7101,
            Self::Payment => 7102,
            Self::Inventory => 7103,
            Self::Notification => 7104,
        };
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    }
}

/// Where orders finds the services that it calls.
#[derive(Clone, Copy, Debug)]
pub struct Peers {
    /// Payment's address.
    pub payment: SocketAddr,
    /// Inventory's address.
    pub inventory: SocketAddr,
    /// Notification's address.
    pub notification: SocketAddr,
}

/// Everything a service is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which service to be.
    pub service: Service,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder of the databases.
    pub data: PathBuf,
    /// Whom orders calls.
    pub peers: Peers,
    /// Whether each request is logged.
    pub verbose: bool,
}

impl Settings {
    /// What `service` is told when nobody says anything.
    #[must_use]
    pub fn new(service: Service, data: impl Into<PathBuf>) -> Self {
        let peers = Peers {
            payment: Service::Payment.address(),
            inventory: Service::Inventory.address(),
            notification: Service::Notification.address(),
        };
        Self { service, listen: service.address(), data: data.into(), peers, verbose: false }
    }

    /// Reads the arguments after the program's name. `data` is used where they name no folder.
    ///
    /// # Errors
    /// One sentence about the first argument that is wrong.
    pub fn parse(args: impl IntoIterator<Item = String>, data: impl Into<PathBuf>) -> Result<Self, String> {
        let mut args = args.into_iter();
        let name = args.next().ok_or("no service is named")?;
        let service = Service::ALL
            .into_iter()
            .find(|service| service.name() == name)
            .ok_or_else(|| format!("there is no service `{name}`"))?;
        let mut settings = Self::new(service, data);
        while let Some(flag) = args.next() {
            if flag == "--verbose" {
                settings.verbose = true;
                continue;
            }
            let value = args.next().ok_or_else(|| format!("`{flag}` is unknown or lacks its value"))?;
            let address = || {
                value.parse().map_err(|_| format!("`{value}` after {flag} is no address like 127.0.0.1:7101"))
            };
            match flag.as_str() {
                "--listen" => settings.listen = address()?,
                "--payment" => settings.peers.payment = address()?,
                "--inventory" => settings.peers.inventory = address()?,
                "--notification" => settings.peers.notification = address()?,
                "--data" => settings.data = value.into(),
                _ => return Err(format!("`{flag}` is unknown")),
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Settings, String> {
        Settings::parse(line.split_whitespace().map(str::to_owned), "data")
    }

    #[test]
    fn each_service_has_its_port_and_its_flags() {
        let settings =
            parse("orders --listen 127.0.0.1:0 --inventory 127.0.0.1:9 --data elsewhere --verbose").unwrap();
        assert_eq!(settings.service, Service::Orders);
        assert_eq!(settings.listen.port(), 0);
        assert_eq!(settings.peers.inventory.port(), 9);
        assert_eq!(settings.peers.payment.port(), 7102);
        assert_eq!(settings.data, PathBuf::from("elsewhere"));
        assert!(settings.verbose);
    }

    #[test]
    fn a_wrong_argument_is_named() {
        for (line, named) in [
            ("", "no service"),
            ("order", "`order`"),
            ("orders --lisen x", "--lisen"),
            ("orders --listen x", "`x`"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(named), "{line}: {said}");
        }
    }
}

//! The addresses behind a name, as a DNS server says them.

use crate::dns::{Dns, Says};
use bowline_call::names::{Known, Resolver, Unknown};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

const ONE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1));
const TWO: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const SIX: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

async fn ask(says: Says, before: &[IpAddr]) -> Result<Known, Unknown> {
    let dns = Dns::start().await;
    dns.says("stock.test", says);
    Resolver::new(Some(dns.address)).expect("a resolver").look_up("stock.test", before).await
}

#[tokio::test]
async fn a_name_has_all_its_addresses_in_order_and_each_once() {
    let known = ask(Says::At(vec![TWO, ONE, TWO], 30), &[]).await.unwrap();
    assert_eq!(known, Known { addresses: vec![ONE, TWO], ttl: Duration::from_secs(30) });
}

#[tokio::test]
async fn addresses_of_both_families_are_used_where_there_is_a_way_to_them() {
    let known = ask(Says::At(vec![SIX, ONE], 30), &[]).await.unwrap();
    let has_six = UdpSocket::bind("[::]:0").and_then(|socket| socket.connect((SIX, 9))).is_ok();
    let expected = if has_six { vec![ONE, SIX] } else { vec![ONE] };
    assert_eq!(known.addresses, expected);
}

#[tokio::test]
async fn trouble_with_one_family_keeps_what_was_known_of_it() {
    let known = ask(Says::TroubleWithSix(vec![TWO], 30), &[ONE, SIX]).await.unwrap();
    assert!(known.addresses.contains(&TWO) && !known.addresses.contains(&ONE), "{known:?}");
    let has_six = UdpSocket::bind("[::]:0").and_then(|socket| socket.connect((SIX, 9))).is_ok();
    assert_eq!(known.addresses.contains(&SIX), has_six);
}

#[tokio::test]
async fn a_name_that_nobody_has_is_told_from_a_server_that_fails() {
    assert!(matches!(ask(Says::Nobody, &[ONE]).await, Err(Unknown::NoAddress)));
    assert!(matches!(ask(Says::At(Vec::new(), 30), &[ONE]).await, Err(Unknown::NoAddress)));
    assert!(matches!(ask(Says::Trouble, &[ONE]).await, Err(Unknown::Failed(_))));
}

#[tokio::test]
async fn one_look_is_one_question_of_each_family() {
    let dns = Dns::start().await;
    dns.says("stock.test", Says::At(vec![ONE], 30));
    let resolver = Resolver::new(Some(dns.address)).expect("a resolver");
    for looks in 1..=3 {
        resolver.look_up("stock.test.", &[]).await.expect("it is there");
        assert_eq!(dns.asked(), 2 * looks, "nothing is kept by whoever asks");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    assert!(matches!(ask(Says::Nothing, &[ONE]).await, Err(Unknown::Failed(_))));
}

//! The same wish more than once.

use crate::town::{Town, keyed};
use shop::payment::generated::{Amount, AuthorizeRequest, CaptureRequest, ReverseRequest, State};
use tokio::task::JoinSet;
use tonic::Code;

#[tokio::test]
async fn a_repeated_order_is_answered_by_the_first_one() {
    let town = Town::new().await;
    let first = town.order("A47", Some("one")).await;
    let again = town.order("A47", Some("one")).await;
    assert!(!first.replayed && again.replayed);
    assert_eq!((again.status, &again.body), (first.status, &first.body));

    assert_eq!(town.order("B12", Some("one")).await.status, 422, "another body under the same key");
    assert_ne!(town.order("A47", Some("two")).await.order_id(), first.order_id());
}

#[tokio::test]
async fn a_failed_order_fails_again_in_the_same_words() {
    let town = Town::new().await;
    let first = town.order("Z99", Some("one")).await;
    town.settled(first.order_id()).await;
    let again = town.order("Z99", Some("one")).await;
    assert_eq!((again.status, &again.body["error"]), (first.status, &first.body["error"]));
}

#[tokio::test]
async fn however_often_payment_is_asked_it_acts_once_a_key() {
    let town = Town::new().await;
    let payments = town.payments();
    for order in 0..20 {
        let id = format!("order-{order}");
        // Five at the same time, of which at most one can be the first.
        let mut asked = JoinSet::new();
        for _ in 0..5 {
            let (mut payments, request) = (payments.clone(), keyed(&id, hold(&id)));
            asked.spawn(async move { payments.authorize(request).await.unwrap() });
        }
        let answers = asked.join_all().await;
        let replayed = answers.iter().filter(|answer| answer.metadata().contains_key("idempotent-replayed"));
        assert_eq!(replayed.count(), 4);
        assert!(answers.iter().all(|answer| answer.get_ref().state() == State::Authorized));
        for _ in 0..3 {
            let captured =
                payments.clone().capture(keyed(&id, CaptureRequest { order_id: id.clone() })).await;
            assert_eq!(captured.unwrap().get_ref().state(), State::Captured);
        }
    }
    assert_eq!(town.effects(&town.payment, "authorized").await, (20, 20));
    assert_eq!(town.effects(&town.payment, "captured").await, (20, 20));
}

#[tokio::test]
async fn a_reversal_that_comes_first_forbids_the_authorization_that_comes_late() {
    let town = Town::new().await;
    let mut payments = town.payments();
    let reversal = payments.reverse(keyed("k", ReverseRequest { order_id: "o".into() })).await;
    assert_eq!(reversal.unwrap().get_ref().state(), State::Reversed, "a reversal of nothing is no error");
    let late = payments.authorize(keyed("k", hold("o"))).await.unwrap_err();
    assert_eq!(late.code(), Code::Aborted);
    assert_eq!(town.effects(&town.payment, "authorized").await, (0, 0));
}

#[tokio::test]
async fn an_effect_without_a_key_or_with_an_unknown_currency_or_under_a_used_key_is_refused() {
    let town = Town::new().await;
    let mut payments = town.payments();
    let without = payments.authorize(tonic::Request::new(hold("o"))).await.unwrap_err();
    assert_eq!(without.code(), Code::InvalidArgument);
    for currency in [0, 7] {
        let amount = Some(Amount { value: 100, currency });
        let wish = AuthorizeRequest { order_id: "o".into(), amount };
        let refused = payments.authorize(keyed("k", wish)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "currency {currency}");
    }
    payments.authorize(keyed("k", hold("o"))).await.unwrap();
    let other = payments.authorize(keyed("k", hold("p"))).await.unwrap_err();
    assert_eq!(other.code(), Code::InvalidArgument, "another message under the same key");
    assert_eq!(town.effects(&town.payment, "authorized").await, (1, 1));
}

/// The authorization of one euro.
fn hold(order: &str) -> AuthorizeRequest {
    AuthorizeRequest { order_id: order.to_owned(), amount: Some(shop::money::Amount::euro_cents(100).into()) }
}

//! The same wish more than once.

use crate::town::Town;
use serde_json::json;

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
    let payment = town.address(&town.payment);
    let ask = |path: &'static str, order: String, body: String| {
        let town = &town;
        async move { town.post(payment, path, Some(&order), &body).await }
    };
    for order in 0..20 {
        let id = format!("order-{order}");
        let hold = json!({ "order_id": id, "amount": { "value": 100, "currency": "EUR" } }).to_string();
        let which = json!({ "order_id": id }).to_string();
        // Five at the same time, of which at most one can be the first.
        let (a, b, c, d, e) = tokio::join!(
            ask("/authorizations", id.clone(), hold.clone()),
            ask("/authorizations", id.clone(), hold.clone()),
            ask("/authorizations", id.clone(), hold.clone()),
            ask("/authorizations", id.clone(), hold.clone()),
            ask("/authorizations", id.clone(), hold.clone()),
        );
        let replayed = [&a, &b, &c, &d, &e].into_iter().filter(|answer| answer.replayed).count();
        assert_eq!(replayed, 4);
        assert!([a, b, c, d, e].iter().all(|answer| answer.status == 201));
        for _ in 0..3 {
            assert_eq!(ask("/captures", id.clone(), which.clone()).await.status, 201);
        }
    }
    assert_eq!(town.effects(&town.payment, "authorized").await, (20, 20));
    assert_eq!(town.effects(&town.payment, "captured").await, (20, 20));
}

#[tokio::test]
async fn a_reversal_that_comes_first_forbids_the_authorization_that_comes_late() {
    let town = Town::new().await;
    let payment = town.address(&town.payment);
    let reversal = town.post(payment, "/reversals", Some("k"), r#"{"order_id":"o"}"#).await;
    assert_eq!(reversal.status, 201, "a reversal of nothing is no error: {}", reversal.body);
    let hold = r#"{"order_id":"o","amount":{"value":100,"currency":"EUR"}}"#;
    let late = town.post(payment, "/authorizations", Some("k"), hold).await;
    assert_eq!(late.status, 409);
    assert_eq!(town.effects(&town.payment, "authorized").await, (0, 0));
}

#[tokio::test]
async fn an_effect_without_a_key_or_with_an_unknown_currency_is_refused() {
    let town = Town::new().await;
    let payment = town.address(&town.payment);
    let euros = r#"{"order_id":"o","amount":{"value":100,"currency":"EUR"}}"#;
    assert_eq!(town.post(payment, "/authorizations", None, euros).await.status, 400);
    let bare = r#"{"order_id":"o","amount":42}"#;
    assert_eq!(town.post(payment, "/authorizations", Some("k"), bare).await.status, 400);
    let other = r#"{"order_id":"o","amount":{"value":100,"currency":"USD"}}"#;
    assert_eq!(town.post(payment, "/authorizations", Some("k"), other).await.status, 400);
}

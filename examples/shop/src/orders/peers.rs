//! The calls to the other services.

use super::order::{Debt, Order, Problem, State};
use crate::client::{Client, NoAnswer};
use crate::settings;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// The other services, as orders sees them.
pub struct Peers {
    client: Client,
    at: settings::Peers,
}

/// What a call that did not succeed tells.
#[derive(Debug)]
pub struct Trouble {
    may_have_happened: bool,
    problem: Problem,
}

impl Trouble {
    /// Whether the other side may have done it all the same.
    #[must_use]
    pub const fn may_have_happened(&self) -> bool {
        self.may_have_happened
    }

    /// What the customer hears.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        self.problem
    }
}

impl Peers {
    /// The services at these addresses.
    #[must_use]
    pub fn new(at: settings::Peers) -> Self {
        Self { client: Client::default(), at }
    }

    /// Holds the money.
    ///
    /// # Errors
    /// It is not held, or not known to be.
    pub async fn authorize(&self, order: &Order) -> Result<(), Trouble> {
        let url = format!("http://{}/authorizations", self.at.payment);
        self.ask("payment", url, Some(order), json!({ "order_id": order.id, "amount": order.total })).await
    }

    /// Puts the goods aside.
    ///
    /// # Errors
    /// They are not put aside, or not known to be.
    pub async fn allocate(&self, order: &Order) -> Result<(), Trouble> {
        let url = format!("http://{}/allocations", self.at.inventory);
        self.ask("inventory", url, Some(order), json!({ "order_id": order.id, "items": order.items })).await
    }

    /// Takes the money, and answers what the order is then: confirmed; failed, if payment holds nothing
    /// for it; or still owing the capture.
    pub async fn captured(&self, order: Order) -> Order {
        let url = format!("http://{}/captures", self.at.payment);
        match self.ask("payment", url, Some(&order), json!({ "order_id": order.id })).await {
            Ok(()) => Order { state: State::Confirmed, owes: vec![], ..order },
            Err(trouble) if trouble.problem.status == 409 => {
                order.failed(trouble.problem, vec![Debt::Release, Debt::Reversal])
            }
            Err(_) => Order { owes: vec![Debt::Capture], ..order },
        }
    }

    /// Puts the goods back.
    ///
    /// # Errors
    /// That is not confirmed.
    pub async fn release(&self, order: &Order) -> Result<(), Trouble> {
        let url = format!("http://{}/releases", self.at.inventory);
        self.ask("inventory", url, Some(order), json!({ "order_id": order.id })).await
    }

    /// Lets go of the money.
    ///
    /// # Errors
    /// That is not confirmed.
    pub async fn reverse(&self, order: &Order) -> Result<(), Trouble> {
        let url = format!("http://{}/reversals", self.at.payment);
        self.ask("payment", url, Some(order), json!({ "order_id": order.id })).await
    }

    /// Tells the customer, if it can. An order does not fail because a message did.
    pub async fn notify(&self, order: &Order) {
        let url = format!("http://{}/notifications", self.at.notification);
        let text = format!("Your order {} of {} is {}.", order.id, order.total, order.status());
        let _best_effort = self.ask("notification", url, None, json!({ "order_id": order.id, "text": text })).await;
    }

    async fn ask(&self, name: &str, url: String, key: Option<&Order>, body: Value) -> Result<(), Trouble> {
        let body = Bytes::from(body.to_string());
        let mut headers = HeaderMap::new();
        if let Some(value) = key.and_then(|order| HeaderValue::try_from(&*order.id).ok()) {
            headers.insert("idempotency-key", value);
        }
        let answer = tokio::time::timeout(Duration::from_millis(300), self.client.post(&url, headers, body)).await;
        match answer {
            Ok(Ok(answer)) if answer.status().is_success() => Ok(()),
            Ok(Ok(answer)) => Err(said_no(name, &answer)),
            Ok(Err(error)) => Err(unreachable(name, &error)),
            Err(_) => Err(Trouble {
                may_have_happened: true,
                problem: Problem {
                    status: 504,
                    error: format!("{name} did not answer in time"),
                    hint: "order again, with a new key".into(),
                },
            }),
        }
    }
}

/// The other side's own words are the customer's: "out of stock" is theirs to say.
fn said_no(name: &str, answer: &Response<Bytes>) -> Trouble {
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let word = |field: &str| body[field].as_str().map(str::to_owned);
    let understood = answer.status().is_client_error();
    Trouble {
        may_have_happened: !understood,
        problem: Problem {
            status: if understood { answer.status() } else { StatusCode::SERVICE_UNAVAILABLE }.as_u16(),
            error: word("error").unwrap_or_else(|| format!("{name} answered {}", answer.status())),
            hint: word("do").unwrap_or_else(|| "order again, with a new key".into()),
        },
    }
}

fn unreachable(name: &str, error: &NoAnswer) -> Trouble {
    Trouble {
        may_have_happened: !format!("{error:?}").contains("Refused"),
        problem: Problem {
            status: 503,
            error: format!("{name}: {error}"),
            hint: "order again in a while, with a new key".into(),
        },
    }
}

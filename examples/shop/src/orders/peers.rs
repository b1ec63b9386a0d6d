//! The calls to the other services, each behind a guard.
//!
//! A guard has the name of the operation in the design. The values here are the code's own: they hold
//! when orders runs alone. Under `bowline up` the design's values take their place, without a new build.

use super::order::{Order, Problem};
use super::rest::Silence;
use crate::client::Client;
use crate::payment::generated::payment_client::PaymentClient;
use crate::payment::generated::{AuthorizeRequest, CaptureRequest, PaymentState, ReverseRequest};
use crate::payment::status;
use crate::settings;
use axum::body::Bytes;
use axum::http::{Response, StatusCode};
use bowline::outcome::{OfGrpc, OfHttp, of_grpc, of_http};
use bowline::{Backoff, Breaker, Error, Guard, Outcome, Retry, Spans, guard};
use serde_json::{Value, json};
use std::error::Error as _;
use std::net::SocketAddr;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

/// The other services, as orders sees them.
pub struct Peers {
    /// HTTP, to inventory and notification.
    client: Client,
    /// gRPC, to payment.
    payment: PaymentClient<Channel>,
    at: settings::Peers,
    authorize: Guard<OfGrpc>,
    capture: Guard<OfGrpc>,
    reverse: Guard<OfGrpc>,
    allocate: Guard<OfHttp>,
    release: Guard<OfHttp>,
    send: Guard<OfHttp>,
}

/// Payment answers within 300 ms or not at all. It knows a repeated key, so after a timeout it may be
/// asked again: two tries of 120 ms and at most 25 ms between them fit.
fn payment(operation: &str) -> Guard<OfGrpc> {
    guard(operation)
        .deadline(300.ms())
        .idempotent_by_key()
        .retry(Retry::tries(2).per_try(120.ms()).backoff(Backoff::full_jitter(25.ms(), 250.ms())))
        .classify(of_grpc)
}

/// A channel to payment. It connects when it is used, and again when payment was started again.
fn channel(payment: SocketAddr) -> Channel {
    // An address and a port always make a URI.
    Endpoint::from_shared(format!("http://{payment}"))
        .map_or_else(|error| unreachable!("{payment}: {error}"), |endpoint| endpoint.connect_lazy())
}

/// Inventory gets three tries of 80 ms, with at most 10 and 20 ms between them. If half of at least 20
/// calls within 10 s fail, it is left alone for 10 s.
fn inventory(operation: &str) -> Guard<OfHttp> {
    guard(operation)
        .deadline(300.ms())
        .idempotent_by_key()
        .retry(Retry::tries(3).per_try(80.ms()).backoff(Backoff::full_jitter(10.ms(), 20.ms())))
        .breaker(Breaker::ratio(0.5).over(10.s()).at_least(20).reset(10.s()))
        .classify(of_http)
}

/// A message is sent again only if the first surely did not arrive.
fn notification(operation: &str) -> Guard<OfHttp> {
    guard(operation).deadline(100.ms()).not_idempotent().retry(Retry::tries(2)).classify(of_http)
}

impl Peers {
    /// The services at these addresses.
    #[must_use]
    pub fn new(at: settings::Peers) -> Self {
        Self {
            client: Client::default(),
            payment: PaymentClient::new(channel(at.payment)),
            at,
            authorize: payment("payment.authorize"),
            capture: payment("payment.capture"),
            reverse: payment("payment.reverse"),
            allocate: inventory("inventory.allocate"),
            release: inventory("inventory.release"),
            send: notification("notification.send"),
        }
    }

    /// Holds the money.
    ///
    /// # Errors
    /// It is not held, or not known to be.
    pub async fn authorize(&self, order: &Order) -> Result<(), Trouble> {
        let wish = AuthorizeRequest { order_id: order.id.clone(), amount: Some(order.total.into()) };
        let answer = self
            .authorize
            .call_by_key(&*order.id, |try_| {
                // Remaining time, trace, try number and key go along.
                let (mut payment, request) = (self.payment.clone(), try_.grpc(wish.clone()));
                async move { payment.authorize(request).await }
            })
            .await;
        paid(answer)
    }

    /// Puts the goods aside.
    ///
    /// # Errors
    /// They are not put aside, or not known to be.
    pub async fn allocate(&self, order: &Order) -> Result<(), Trouble> {
        let url = format!("http://{}/allocations", self.at.inventory);
        self.ask(&self.allocate, url, order, &json!({ "order_id": order.id, "items": order.items })).await
    }

    /// Takes the money.
    ///
    /// # Errors
    /// It is not taken, or not known to be.
    pub async fn capture(&self, order: &Order) -> Result<(), Trouble> {
        let wish = CaptureRequest { order_id: order.id.clone() };
        let answer = self
            .capture
            .call_by_key(&*order.id, |try_| {
                let (mut payment, request) = (self.payment.clone(), try_.grpc(wish.clone()));
                async move { payment.capture(request).await }
            })
            .await;
        paid(answer)
    }

    /// Puts the goods back.
    ///
    /// # Errors
    /// That is not confirmed.
    pub async fn release(&self, order: &Order) -> Result<(), Trouble> {
        let url = format!("http://{}/releases", self.at.inventory);
        self.ask(&self.release, url, order, &json!({ "order_id": order.id })).await
    }

    /// Lets go of the money.
    ///
    /// # Errors
    /// That is not confirmed.
    pub async fn reverse(&self, order: &Order) -> Result<(), Trouble> {
        let wish = ReverseRequest { order_id: order.id.clone() };
        let answer = self
            .reverse
            .call_by_key(&*order.id, |try_| {
                let (mut payment, request) = (self.payment.clone(), try_.grpc(wish.clone()));
                async move { payment.reverse(request).await }
            })
            .await;
        paid(answer)
    }

    /// Tells the customer, if it can. An order does not fail because a message did.
    pub async fn notify(&self, order: &Order) {
        let url = format!("http://{}/notifications", self.at.notification);
        let text = format!("Your order {} of {} is {}.", order.id, order.total, order.status());
        let _best_effort =
            self.ask(&self.send, url, order, &json!({ "order_id": order.id, "text": text })).await;
    }

    /// Asks one thing for one order over HTTP. The order's name is the key: the same wish, however often it is
    /// sent and after however many restarts, has the same key.
    async fn ask(
        &self,
        guard: &Guard<OfHttp>,
        url: String,
        order: &Order,
        body: &Value,
    ) -> Result<(), Trouble> {
        let body = Bytes::from(body.to_string());
        let answer = guard
            .call_by_key(&*order.id, |try_| {
                // Remaining time, trace, try number and key go along.
                let (headers, url, body) = (try_.headers().into(), &url, body.clone());
                async move { self.client.post(url, headers, body).await }
            })
            .await;
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(Trouble::said_no(&answer)),
            Err(error) => Err(Trouble::no_answer(&error)),
        }
    }
}

/// What payment's answer is to an order.
fn paid(answer: Result<tonic::Response<PaymentState>, Error>) -> Result<(), Trouble> {
    let Err(error) = answer else { return Ok(()) };
    // A status is gRPC's error, a no among them: the guard hands it on as what caused its own.
    let status = error.source().and_then(|source| source.downcast_ref::<Status>());
    Err(match status.and_then(Trouble::refused) {
        Some(trouble) => trouble,
        None => Trouble::no_answer(&error),
    })
}

/// What a call that did not succeed tells.
#[derive(Debug)]
pub struct Trouble {
    may_have_happened: bool,
    silence: Option<Silence>,
    problem: Problem,
}

impl Trouble {
    /// That there was no answer, if there was none: a no is an answer.
    #[must_use]
    pub const fn silence(&self) -> Option<Silence> {
        self.silence
    }

    /// Whether the other side said that the order's state forbids it.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.silence.is_none() && self.problem.status == StatusCode::CONFLICT.as_u16()
    }

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

    /// The other side understood and said no. Its own words are the customer's: "out of stock" is its to
    /// say.
    fn said_no(answer: &Response<Bytes>) -> Self {
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let word = |field: &str| body[field].as_str().unwrap_or("refused").to_owned();
        let problem = Problem { status: answer.status().as_u16(), error: word("error"), hint: word("do") };
        Self { may_have_happened: false, silence: None, problem }
    }

    /// The same of a no over gRPC; `None` for a status that is none.
    fn refused(status: &Status) -> Option<Self> {
        let hint = status::hint_of(status).to_owned();
        let code = status::http_of(status)?.as_u16();
        let problem = Problem { status: code, error: status.message().to_owned(), hint };
        Some(Self { may_have_happened: false, silence: None, problem })
    }

    /// There was no answer to act on. What matters is whether there may have been an effect.
    fn no_answer(error: &Error) -> Self {
        let status =
            if error.is_timeout() { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::SERVICE_UNAVAILABLE };
        let hint = "order again in a while, with a new key".to_owned();
        let problem = Problem { status: status.as_u16(), error: error.to_string(), hint };
        let may_have_happened = !matches!(error.outcome(), Outcome::Refused | Outcome::Failed);
        Self { may_have_happened, silence: Some(error.into()), problem }
    }
}

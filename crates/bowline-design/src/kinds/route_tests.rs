//! Route tests: a request in, a destination or an answer out.

use crate::kinds::access::AccessFrom;
use crate::kinds::common::Destination;
use crate::kinds::policy::{Admission, Breaker, Bulkhead, Doomed, Hedge, Priority, RateLimit, Retry};
use crate::kinds::virtual_service::{
    Delegate, Headers, HttpDirectResponse, HttpFault, HttpMirror, HttpRedirect, HttpRetry, HttpRewrite,
    HttpRouteDestination,
};
use crate::mistake::{Mistakes, Place, Spot};
use crate::read::reader::{Read, Reader};
use crate::read::record::{record, words};
use crate::read::shape::Shape;
use crate::read::tree::{Node, Value};
use std::collections::BTreeMap;
use std::time::Duration;

record! {
    /// What requests have to be answered how.
    pub struct RouteTests {
        /// One by one.
        pub test_cases: Vec<Spot<RouteTest>>,
    }
}

record! {
    /// One test.
    pub struct RouteTest {
        /// What it shows.
        pub description: Option<Spot<String>>,
        /// Whether the rest has to match (the default), or must not.
        pub want_match: Option<Spot<bool>>,
        /// The requests: every combination of what is listed.
        pub request: Spot<TestRequest>,
        /// Where they have to go.
        pub route: Vec<Spot<HttpRouteDestination>>,
        /// The redirect they have to get.
        pub redirect: Option<Spot<HttpRedirect>>,
        /// The answer they have to get.
        pub direct_response: Option<Spot<HttpDirectResponse>>,
        /// The rewrite they have to get.
        pub rewrite: Option<Spot<HttpRewrite>>,
        /// The faults they have to get.
        pub fault: Option<Spot<HttpFault>>,
        /// The header operations they have to get.
        pub headers: Option<Spot<Headers>>,
        /// The delegate they have to reach.
        pub delegate: Option<Spot<Delegate>>,
        /// The timeout they have to get.
        pub timeout: Option<Spot<Duration>>,
        /// The tries they have to get.
        pub retries: Option<Spot<HttpRetry>>,
        /// Whether they have to be let through (the default, where `request.from` says who asks) or denied.
        pub access: Option<Spot<WantedAccess>>,
        /// The mirror they have to get.
        pub mirror: Option<Spot<Destination>>,
        /// The mirrors they have to get.
        pub mirrors: Vec<Spot<HttpMirror>>,
        /// What has to govern the calls that they become.
        pub policy: Option<Spot<TestPolicy>>,
    } checked by check_test
}

record! {
    /// What has to govern a call, as a Policy writes it; `none` for what must not be there.
    pub struct TestPolicy {
        /// The deadline that holds where the caller brings none.
        pub deadline: Option<Spot<Wanted<Duration>>>,
        /// How often it is tried; `none` is once.
        pub retry: Option<Spot<Wanted<Retry>>>,
        /// When another try is sent beside one that is late.
        pub hedge: Option<Spot<Wanted<Hedge>>>,
        /// When it is refused because others failed.
        pub breaker: Option<Spot<Wanted<Breaker>>>,
        /// How many may be under way.
        pub bulkhead: Option<Spot<Wanted<Bulkhead>>>,
        /// How many may begin.
        pub rate_limit: Option<Spot<Wanted<RateLimit>>>,
        /// When it is rejected because the callee accepts too few.
        pub admission: Option<Spot<Wanted<Admission>>>,
        /// What it matters where the caller does not say.
        pub priority: Option<Spot<Priority>>,
        /// When it is shed because too little time is left.
        pub doomed: Option<Spot<Wanted<Doomed>>>,
    }
}

/// What a test wants of a thing that may be absent.
#[derive(Clone, Debug)]
pub enum Wanted<T> {
    /// That it is not there: `none`.
    Nothing,
    /// That it is there, and is this.
    This(T),
}

impl<T: Read> Read for Wanted<T> {
    fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if &*scalar.text == "none" => Some(Self::Nothing),
            _ => T::read(node, reader).map(Self::This),
        }
    }

    fn shape() -> Shape {
        Shape::AnyOf(vec![Shape::Words(&["none"]), T::shape()])
    }
}

record! {
    /// Requests to try: every combination of what is listed.
    pub struct TestRequest {
        /// Authorities.
        pub authority: Vec<Spot<String>>,
        /// Methods; GET when absent.
        pub method: Vec<Spot<String>>,
        /// Paths with their queries; `/` when absent.
        pub uri: Vec<Spot<String>>,
        /// Headers that each carries.
        pub headers: BTreeMap<String, String>,
        /// The scheme; http when absent.
        pub scheme: Option<Spot<String>>,
        /// The port it arrives at.
        pub port: Option<Spot<u16>>,
        /// Who asks, as it has proved; `{ anyone: {} }`, or nothing, is somebody who proved nothing.
        pub from: Option<Spot<AccessFrom>>,
        /// The gateway it arrives at, `namespace/name`; all of them and the mesh when absent.
        pub gateway: Option<Spot<String>>,
    } checked by check_request
}

words! {
    /// What Access has to make of a request.
    pub enum WantedAccess {
        /// It is let through.
        Allowed = "allowed",
        /// It is not.
        Denied = "denied",
    }
}

fn check_test(test: &RouteTest, place: &Place, mistakes: &mut Mistakes) {
    let RouteTest { route, redirect, direct_response, rewrite, fault, headers, delegate, .. } = test;
    let RouteTest { timeout, retries, mirror, mirrors, policy, .. } = test;
    let any = !route.is_empty() || redirect.is_some() || direct_response.is_some() || rewrite.is_some();
    let any = any || fault.is_some() || headers.is_some() || delegate.is_some() || timeout.is_some();
    let any = any || retries.is_some() || mirror.is_some() || !mirrors.is_empty() || policy.is_some();
    let any = any || test.access.is_some() || test.request.from.is_some();
    if !any {
        let expected = "what has to come of the request: `route`, `redirect`, `directResponse`, ..";
        mistakes.add("missing-field", place, "a test that wants nothing", expected);
    }
}

fn check_request(request: &TestRequest, place: &Place, mistakes: &mut Mistakes) {
    if request.authority.is_empty() {
        mistakes.add("missing-field", place, "no `authority`", "at least one host to ask");
    }
    for uri in request.uri.iter().filter(|uri| !uri.starts_with('/')) {
        let found = crate::read::names::quoted(uri);
        mistakes.add("bad-value", &uri.place, found, "a path that begins with `/`");
    }
}

//! What a test expects, beside what a route does. Only what a test names is compared.

use crate::format::format_duration;
use crate::kinds::route_tests::RouteTest;
use crate::kinds::virtual_service::{HeaderOperations, HttpRouteDestination};
use crate::mistake::Spot;
use crate::resolved::{Design, ServiceId};
use crate::routing::headers::HeaderSide;
use crate::routing::redirect::RedirectPath;
use crate::routing::{Action, Route, UriRewrite, Weighted};
use bowline_fault::{Percent, Then};

/// What is not as the test expects.
pub(super) fn differences(design: &Design, test: &RouteTest, route: &Route) -> Vec<String> {
    let mut differs = Vec::new();
    destinations(design, test, route, &mut differs);
    redirect(test, route, &mut differs);
    response(test, route, &mut differs);
    rewrite(test, route, &mut differs);
    fault(test, route, &mut differs);
    headers(test, route, &mut differs);
    timeout_and_tries(test, route, &mut differs);
    mirrors(design, test, route, &mut differs);
    if let Some(delegate) = &test.delegate {
        let name = delegate.name.as_ref().map_or("", |name| name.value.as_str());
        // A delegate's rule stands in the delegate's document.
        let within = route.place.resource.rsplit(['/', ' ']).next() == Some(name);
        unless(
            within,
            || format!("delegate {name} expected, the rule is {}'s", route.place.resource),
            &mut differs,
        );
    }
    differs
}

fn unless(holds: bool, otherwise: impl FnOnce() -> String, differs: &mut Vec<String>) {
    if !holds {
        differs.push(otherwise());
    }
}

/// Every destination of the test is one of the route's, and the other way round.
fn destinations(design: &Design, test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    if test.route.is_empty() {
        return;
    }
    let found = route.destinations();
    for expected in &test.route {
        let there = found.iter().any(|each| is(design, expected, each, found.len()));
        unless(there, || format!("to {} expected", written(expected)), differs);
    }
    for each in found {
        let wanted = test.route.iter().any(|expected| is(design, expected, each, found.len()));
        unless(
            wanted || !differs.is_empty(),
            || format!("{}, which is not expected", design.describe(route)),
            differs,
        );
    }
    unless(!found.is_empty() || !differs.is_empty(), || "a destination expected".to_owned(), differs);
}

fn is(design: &Design, expected: &HttpRouteDestination, found: &Weighted, of: usize) -> bool {
    let destination = &found.destination;
    let wanted = &expected.destination;
    let port = wanted.port.as_ref().and_then(|port| port.number.as_ref()).map(|port| port.value);
    let weight = expected.weight.as_ref().map(|weight| weight.value);
    is_host(design, &wanted.host, destination.service)
        && wanted.subset.as_ref().map(|subset| subset.value.as_str()) == destination.subset.as_deref()
        && (port.is_none() || port == destination.port)
        // A lone destination gets everything, whatever its weight.
        && (of == 1 || weight.is_none_or(|weight| weight == found.weight))
}

/// Whether a test's host, by any of its names, is a service.
fn is_host(design: &Design, host: &str, service: ServiceId) -> bool {
    let service = design.service(service);
    *service.name == *host || service.hosts.iter().any(|own| own.eq_ignore_ascii_case(host))
}

fn written(expected: &HttpRouteDestination) -> String {
    let mut text = expected.destination.host.value.clone();
    if let Some(subset) = &expected.destination.subset {
        text.push_str(&format!(" subset {}", subset.value));
    }
    if let Some(port) = expected.destination.port.as_ref().and_then(|port| port.number.as_ref()) {
        text.push_str(&format!(" port {}", port.value));
    }
    if let Some(weight) = &expected.weight {
        text.push_str(&format!(" weight {}", weight.value));
    }
    text
}

/// Compares a text that the test may leave out.
fn text(what: &str, expected: Option<&Spot<String>>, found: Option<&str>, differs: &mut Vec<String>) {
    if let Some(expected) = expected {
        let found_text = found.unwrap_or("none");
        let holds = Some(expected.value.as_str()) == found;
        unless(holds, || format!("{what} {} expected, found {found_text}", expected.value), differs);
    }
}

fn redirect(test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    let Some(expected) = &test.redirect else { return };
    let Action::Redirect(found) = &route.action else {
        differs.push("a redirect expected".to_owned());
        return;
    };
    let (whole, matched) = match &found.path {
        RedirectPath::Same => (None, None),
        RedirectPath::Whole(path) => (Some(&**path), None),
        RedirectPath::Matched(with) => (None, Some(&**with)),
    };
    text("redirect uri", expected.uri.as_ref(), whole, differs);
    text("redirect prefixRewrite", expected.prefix_rewrite.as_ref(), matched, differs);
    text("redirect authority", expected.authority.as_ref(), found.authority.as_deref(), differs);
    text("redirect scheme", expected.scheme.as_ref(), found.scheme.as_deref(), differs);
    if let Some(code) = &expected.redirect_code {
        let holds = code.value == u32::from(found.status);
        unless(holds, || format!("redirect {} expected, found {}", code.value, found.status), differs);
    }
}

fn response(test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    let Some(expected) = &test.direct_response else { return };
    let Action::Respond { status, body } = &route.action else {
        differs.push("a direct response expected".to_owned());
        return;
    };
    let holds = expected.status.value == u32::from(*status);
    unless(holds, || format!("answer {} expected, found {status}", expected.status.value), differs);
    if let Some(expected) = expected.body.as_ref().and_then(|body| body.string.as_ref()) {
        unless(expected.value.as_bytes() == &body[..], || "another body expected".to_owned(), differs);
    }
}

fn rewrite(test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    let Some(expected) = &test.rewrite else { return };
    let found = match &route.action {
        Action::Forward { rewrite: Some(rewrite), .. } => rewrite,
        _ => {
            differs.push("a rewrite expected".to_owned());
            return;
        }
    };
    let (uri, pattern, with) = match &found.uri {
        None => (None, None, None),
        Some(UriRewrite::Matched(with)) => (Some(&**with), None, None),
        Some(UriRewrite::Regex { pattern, written, .. }) => (None, Some(pattern.as_str()), Some(&**written)),
    };
    text("rewrite uri", expected.uri.as_ref(), uri, differs);
    if let Some(by_regex) = &expected.uri_regex_rewrite {
        text("rewrite match", by_regex.pattern.as_ref(), pattern, differs);
        text("rewrite", by_regex.rewrite.as_ref(), with, differs);
    }
    let authority = found.authority.as_ref().and_then(|authority| authority.to_str().ok());
    text("rewrite authority", expected.authority.as_ref(), authority, differs);
}

fn fault(test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    let Some(expected) = &test.fault else { return };
    let found = route.fault.as_ref();
    let percent = |percentage: &Option<Spot<crate::kinds::common::Percent>>| {
        percentage.as_ref()?.value.value.as_ref().and_then(|value| Percent::from_percent(value.value))
    };
    if let Some(delay) = &expected.delay {
        let found = found.and_then(|fault| fault.delay);
        let span = delay.fixed_delay.as_ref().map(|span| span.value);
        let holds = found.is_some_and(|(share, own)| {
            span.is_none_or(|span| span == own)
                && percent(&delay.percentage).is_none_or(|percent| percent == share)
        });
        unless(holds, || "another delay expected".to_owned(), differs);
    }
    if let Some(abort) = &expected.abort {
        let found = found.and_then(|fault| fault.abort);
        let status = abort.http_status.as_ref().map(|status| status.value);
        let holds = found.is_some_and(|(share, then)| {
            let status_holds = match then {
                Then::Abort { status: own } => status.is_none_or(|status| status == u32::from(own)),
                Then::Send | Then::AbortGrpc { .. } | Then::Drop => status.is_none(),
            };
            status_holds && percent(&abort.percentage).is_none_or(|percent| percent == share)
        });
        unless(holds, || "another abort expected".to_owned(), differs);
    }
}

fn headers(test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    let Some(expected) = &test.headers else { return };
    let ops = route.destinations().first().map_or(&route.headers, |each| &each.headers);
    let sides =
        [("request", &expected.request, &ops.request), ("response", &expected.response, &ops.response)];
    for (which, expected, found) in sides {
        if let Some(expected) = expected {
            header_side(which, expected, found, differs);
        }
    }
}

fn header_side(which: &str, expected: &HeaderOperations, found: &HeaderSide, differs: &mut Vec<String>) {
    for (entries, replaces) in [(&expected.set, true), (&expected.add, false)] {
        for (name, value) in entries {
            let there = found.put.iter().any(|put| {
                put.replaces == replaces
                    && put.name.as_str().eq_ignore_ascii_case(name)
                    && put.value.as_bytes() == value.value.as_bytes()
            });
            unless(there, || format!("{which} header {name}: {} expected", value.value), differs);
        }
    }
    for name in &expected.remove {
        let there = found.remove.iter().any(|own| own.as_str().eq_ignore_ascii_case(&name.value));
        unless(there, || format!("{which} header {} expected to be removed", name.value), differs);
    }
}

fn timeout_and_tries(test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    if let Some(expected) = &test.timeout {
        let found = route.timeout.as_ref().map(|timeout| timeout.value);
        let text = found.map_or_else(|| "none".to_owned(), format_duration);
        let holds = found == Some(expected.value);
        unless(
            holds,
            || format!("timeout {} expected, found {text}", format_duration(expected.value)),
            differs,
        );
    }
    let Some(expected) = &test.retries else { return };
    for each in route.destinations() {
        let retry = &each.call(None).settings.retry;
        if let Some(attempts) = &expected.attempts {
            let found = retry.tries.value.saturating_sub(1);
            unless(
                attempts.value == found,
                || format!("{} retries expected, found {found}", attempts.value),
                differs,
            );
        }
        if let Some(per_try) = &expected.per_try_timeout {
            let holds = retry.per_try.as_ref().map(|per_try| per_try.value) == Some(per_try.value);
            unless(holds, || format!("per-try timeout {} expected", format_duration(per_try.value)), differs);
        }
    }
}

fn mirrors(design: &Design, test: &RouteTest, route: &Route, differs: &mut Vec<String>) {
    let several = test.mirrors.iter().map(|mirror| &mirror.destination);
    for expected in test.mirror.iter().chain(several) {
        let there =
            route.mirrors.iter().any(|mirror| is_host(design, &expected.host, mirror.destination.service));
        unless(there, || format!("mirror {} expected", expected.host.value), differs);
    }
}

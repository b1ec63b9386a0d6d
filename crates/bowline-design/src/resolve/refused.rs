//! What documents ask for, is not done here, and would do harm if it were left out: it is refused by its name.
//!
//! Anything else that is not done is noted ([`unserved`](super::unserved)): a note is for what a design works without.

use super::credential;
use super::findings::Findings;
use crate::kinds::Documents;
use crate::kinds::destination_rule::{ClientTls, LoadBalancer, TrafficPolicy};
use crate::mistake::Spot;

/// The code of what is refused because this version does not do it.
const REFUSED: &str = "not-done";

/// Refuses what must not be left out.
pub(super) fn refuse(documents: &Documents, findings: &mut Findings) {
    for rule in documents.destination_rules.iter().map(|document| &document.spec) {
        let of_subsets = rule.subsets.iter().filter_map(|subset| subset.traffic_policy.as_ref());
        rule.traffic_policy.iter().chain(of_subsets).for_each(|policy| self::policy(policy, findings));
    }
    for server in documents.gateways.iter().flat_map(|document| &document.spec.servers) {
        let skip = server.tls.as_ref().and_then(|tls| tls.insecure_skip_verify.as_ref());
        if let Some(skip) = skip.filter(|skip| skip.value) {
            let expected = "none: whom nobody vouches for has proved nothing";
            let hint = "OPTIONAL_MUTUAL lets callers come who show no certificate";
            findings.mistake(REFUSED, &skip.place, "`insecureSkipVerify`", expected, Some(hint.to_owned()));
        }
    }
}

fn policy(policy: &TrafficPolicy, findings: &mut Findings) {
    if let Some(tunnel) = &policy.tunnel {
        let expected = "none: without its tunnel a call would go where it must not";
        let hint = "name what stands at the tunnel's near end as the host's endpoints";
        findings.mistake(REFUSED, &tunnel.place, "`tunnel`", expected, Some(hint.to_owned()));
    }
    if let Some(protocol) = &policy.proxy_protocol {
        let expected = "none: callers share connections, of whom the PROXY protocol would name one";
        let hint = "services are told who calls by `x-forwarded-for`";
        findings.mistake(REFUSED, &protocol.place, "`proxyProtocol`", expected, Some(hint.to_owned()));
    }
    let at_ports = &policy.port_level_settings;
    let balancers = at_ports.iter().filter_map(|settings| settings.load_balancer.as_ref());
    policy.load_balancer.iter().chain(balancers).for_each(|balancer| self::balancer(balancer, findings));
    let tls = at_ports.iter().filter_map(|settings| settings.tls.as_ref());
    policy.tls.iter().chain(tls).for_each(|tls| credentials(tls, findings));
}

fn balancer(balancer: &LoadBalancer, findings: &mut Findings) {
    if let Some(utilization) = &balancer.backend_utilization {
        let expected = "none: nobody here reads what endpoints say of their load";
        let hint = "LEAST_REQUEST, or a Policy's `balance: { by: peak-ewma }`, heeds how they do";
        findings.mistake(
            REFUSED,
            &utilization.place,
            "`backendUtilization`",
            expected,
            Some(hint.to_owned()),
        );
    }
}

fn credentials(tls: &Spot<ClientTls>, findings: &mut Findings) {
    for name in [&tls.credential_name, &tls.ca_cert_credential_name].into_iter().flatten() {
        if !name.is_empty() && credential::file(name, credential::Part::Key).is_none() {
            let found = format!("the credential `{}`", name.value);
            findings.mistake("bad-name", &name.place, found, credential::NAMES, None);
        }
    }
}

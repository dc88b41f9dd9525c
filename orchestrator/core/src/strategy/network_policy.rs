//! NetworkPolicies, IPAddresses and ServiceCIDRs.

use super::{Findings, PLAIN, Strategy};
use crate::validation::names::NameRule;
use crate::validation::{Errors, between, child, immutable, indexed, invalid, items, names, selector, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::net::IpAddr;

pub(super) static STRATEGY: Strategy = Strategy { counts_generations: true, validate, ..PLAIN };

pub(super) static ADDRESS: Strategy = Strategy {
    name: NameRule::Address,
    validate: |address, findings| {
        let parent = &address["spec"]["parentRef"];
        for field in ["resource", "name"] {
            if text(&parent[field]).is_empty() {
                findings.errors.push(FieldError::required(&format!("spec.parentRef.{field}"), ""));
            }
        }
    },
    validate_update: |new, old, findings| {
        let (new, old) = (&new["spec"]["parentRef"], &old["spec"]["parentRef"]);
        immutable(&mut findings.errors, "spec.parentRef", new, old);
    },
    ..PLAIN
};

pub(super) static RANGE: Strategy = Strategy {
    validate: |range, findings| {
        let (list, errors) = (&range["spec"]["cidrs"], &mut findings.errors);
        let count = items(list).count();
        if count == 0 {
            errors.push(FieldError::required("spec.cidrs", "at least one CIDR required"));
        } else if count > 2 {
            let why = "may only hold up to 2 values";
            errors.push(FieldError::invalid("spec", &range["spec"], why));
        }
        for (path, one) in indexed(list, "spec.cidrs") {
            cidr(&path, one, errors);
        }
    },
    validate_update: |new, old, findings| {
        let (new, old) = (&new["spec"]["cidrs"], &old["spec"]["cidrs"]);
        immutable(&mut findings.errors, "spec.cidrs", new, old);
    },
    ..PLAIN
};

fn validate(policy: &Value, findings: &mut Findings) {
    let (spec, errors) = (&policy["spec"], &mut findings.errors);
    selector::label_selector(errors, "spec.podSelector", &spec["podSelector"]);
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for (path, rule) in indexed(&spec[rules], &child("spec", rules)) {
            for (path, one) in indexed(&rule["ports"], &child(&path, "ports")) {
                port(&path, one, errors);
            }
            for (path, one) in indexed(&rule[peers], &child(&path, peers)) {
                peer(&path, one, errors);
            }
        }
    }
    let types = &spec["policyTypes"];
    if items(types).count() > 2 {
        let why = "may not specify more than two policyTypes";
        errors.push(FieldError::invalid("spec.policyTypes", types, why));
    }
}

fn port(path: &str, port: &Value, errors: &mut Errors) {
    let (at, number) = (child(path, "port"), &port["port"]);
    match number {
        Value::Number(_) => between(errors, &at, number, 1, 65535),
        Value::String(name) => invalid(errors, &at, number, names::port_name(name)),
        _ => {}
    }
    let (at, end) = (child(path, "endPort"), &port["endPort"]);
    let why = match (number.as_i64(), end.as_i64()) {
        (_, None) => return,
        (None, _) if number.is_null() => "may not be specified when `port` is not specified",
        (None, _) => "may not be specified when `port` is non-numeric",
        (Some(low), Some(high)) if high < low => "must be greater than or equal to `port`",
        _ => return between(errors, &at, end, 1, 65535),
    };
    errors.push(FieldError::invalid(&at, end, why));
}

fn peer(path: &str, peer: &Value, errors: &mut Errors) {
    let selectors = ["podSelector", "namespaceSelector"].map(|name| (name, &peer[name]));
    for (name, one) in selectors.iter().filter(|(_, one)| one.is_object()) {
        selector::label_selector(errors, &child(path, name), one);
    }
    let (selects, block) = (selectors.iter().any(|(_, one)| one.is_object()), &peer["ipBlock"]);
    match (selects, block.is_object()) {
        (false, false) => errors.push(FieldError::required(path, "must specify a peer")),
        (true, true) => {
            errors.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer"));
        }
        (false, true) => ip_block(&child(path, "ipBlock"), block, errors),
        (true, false) => {}
    }
}

fn ip_block(path: &str, block: &Value, errors: &mut Errors) {
    let outer = cidr(&child(path, "cidr"), &block["cidr"], errors);
    for (path, except) in indexed(&block["except"], &child(path, "except")) {
        let inner = cidr(&path, except, errors);
        if let (Some(outer), Some(inner)) = (outer, inner)
            && !is_strict_subset(inner, outer)
        {
            errors.push(FieldError::invalid(&path, except, "must be a strict subset of `cidr`"));
        }
    }
}

/// An address and the length of its prefix; complains of what is none.
fn cidr(path: &str, value: &Value, errors: &mut Errors) -> Option<(IpAddr, u32)> {
    let parsed = text(value).split_once('/').and_then(|(address, length)| {
        let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?);
        (length <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, length))
    });
    if parsed.is_none() {
        let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        errors.push(FieldError::invalid(path, value, why));
    }
    parsed
}

fn is_strict_subset(inner: (IpAddr, u32), outer: (IpAddr, u32)) -> bool {
    let prefix = |address: IpAddr| -> u128 {
        match address {
            IpAddr::V4(v4) => u128::from(u32::from(v4)) << 96,
            IpAddr::V6(v6) => v6.into(),
        }
    };
    let shift = 128 - outer.1.min(128);
    let same = prefix(inner.0).checked_shr(shift) == prefix(outer.0).checked_shr(shift);
    inner.0.is_ipv4() == outer.0.is_ipv4() && inner.1 > outer.1 && same
}

//! Endpoints and EndpointSlices.

use super::{Findings, PLAIN, Strategy};
use crate::validation::{Errors, between, child, immutable, indexed, invalid, items, names, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

const MAX_ENDPOINTS: usize = 1000;
const MAX_ADDRESSES: usize = 100;
const MAX_PORTS: usize = 20_000;

pub(super) static ENDPOINTS: Strategy = Strategy { validate: validate_endpoints, ..PLAIN };

pub(super) static SLICE: Strategy = Strategy {
    counts_generations: true,
    validate: validate_slice,
    validate_update: |new, old, findings| {
        immutable(&mut findings.errors, "addressType", &new["addressType"], &old["addressType"]);
    },
    ..PLAIN
};

fn validate_endpoints(endpoints: &Value, findings: &mut Findings) {
    const LISTS: [&str; 2] = ["addresses", "notReadyAddresses"];
    let errors = &mut findings.errors;
    for (path, subset) in indexed(&endpoints["subsets"], "subsets") {
        if LISTS.iter().all(|list| items(&subset[*list]).next().is_none()) {
            errors.push(FieldError::required(&path, "must specify `addresses` or `notReadyAddresses`"));
        }
        for list in LISTS {
            for (path, address) in indexed(&subset[list], &child(&path, list)) {
                invalid(errors, &child(&path, "ip"), &address["ip"], names::ip(text(&address["ip"])));
            }
        }
        ports(errors, &child(&path, "ports"), &subset["ports"], items(&subset["ports"]).count() > 1);
    }
}

fn validate_slice(slice: &Value, findings: &mut Findings) {
    let errors = &mut findings.errors;
    let count = items(&slice["endpoints"]).count();
    if count > MAX_ENDPOINTS {
        errors.push(FieldError::too_many("endpoints", count, MAX_ENDPOINTS));
    }
    for (path, endpoint) in indexed(&slice["endpoints"], "endpoints") {
        let path = child(&path, "addresses");
        match items(&endpoint["addresses"]).count() {
            0 => errors.push(FieldError::required(&path, "must contain at least 1 address")),
            n if n > MAX_ADDRESSES => errors.push(FieldError::too_many(&path, n, MAX_ADDRESSES)),
            _ => addresses(errors, &path, &endpoint["addresses"], text(&slice["addressType"])),
        }
    }
    let count = items(&slice["ports"]).count();
    if count > MAX_PORTS {
        errors.push(FieldError::too_many("ports", count, MAX_PORTS));
    }
    ports(errors, "ports", &slice["ports"], false);
}

fn addresses(errors: &mut Errors, path: &str, list: &Value, type_: &str) {
    for (path, address) in indexed(list, path) {
        let complaints = match (type_, text(address).parse::<IpAddr>()) {
            ("FQDN", _) => names::subdomain(text(address)),
            ("IPv4", Ok(ip)) if !ip.is_ipv4() => vec!["must be an IPv4 address".into()],
            ("IPv6", Ok(ip)) if !ip.is_ipv6() => vec!["must be an IPv6 address".into()],
            _ => names::ip(text(address)),
        };
        invalid(errors, &path, address, complaints);
    }
}

fn ports(errors: &mut Errors, path: &str, list: &Value, names_required: bool) {
    let mut seen = BTreeSet::new();
    for (path, port) in indexed(list, path) {
        let (name, at) = (text(&port["name"]), child(&path, "name"));
        if name.is_empty() && names_required {
            errors.push(FieldError::required(&at, ""));
        } else if !name.is_empty() {
            invalid(errors, &at, &port["name"], names::label(name));
        }
        if !seen.insert(name) && !name.is_empty() {
            errors.push(FieldError::duplicate(&at, &port["name"]));
        }
        between(errors, &child(&path, "port"), &port["port"], 1, 65535);
    }
}

//! Addresses, ranges of them, and URLs.

use super::functions::{Call, map};
use super::value::{Url, Val};
use super::{Budget, Fault, Found};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub(super) fn call(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    Some(match (call.name, call.arguments) {
        ("ip", [Val::String(text)]) => address(text).map(Val::Ip),
        ("ip", [Val::Cidr(ip, _)]) => Ok(Val::Ip(*ip)),
        ("isIP", [Val::String(text)]) => Ok(Val::Bool(address(text).is_ok())),
        ("ip.isCanonical", [Val::String(text)]) => {
            address(text).map(|ip| Val::Bool(ip.to_string() == **text))
        }
        ("cidr", [Val::String(text)]) => range(text).map(|(ip, length)| Val::Cidr(ip, length)),
        ("isCIDR", [Val::String(text)]) => Ok(Val::Bool(range(text).is_ok())),
        ("url", [Val::String(text)]) => url(text).map(|url| Val::Url(Arc::new(url))),
        ("isURL", [Val::String(text)]) => Ok(Val::Bool(url(text).is_ok())),
        (name, [Val::Ip(ip)]) => of_address(name, *ip)?,
        (name, [Val::Url(url)]) => of_url(name, url)?,
        (name, [Val::Cidr(ip, length), rest @ ..]) => of_range(name, (*ip, *length), rest)?,
        _ => return None,
    })
}

fn address(text: &str) -> Result<IpAddr, Fault> {
    text.parse()
        .map_err(|_| Fault::new(format!("IP Address {text:?} parse error during conversion from string")))
}

fn range(text: &str) -> Result<(IpAddr, u8), Fault> {
    let failed =
        || Fault::new(format!("network address parse error during conversion from string: {text:?}"));
    let (ip, length) = text.split_once('/').ok_or_else(failed)?;
    let ip: IpAddr = ip.parse().map_err(|_| failed())?;
    let length: u8 = length.parse().map_err(|_| failed())?;
    if length > width(ip) { Err(failed()) } else { Ok((ip, length)) }
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The address as a number, its network bits first.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn network(ip: IpAddr, length: u8) -> u128 {
    let mask = if length == 0 { 0 } else { u128::MAX << (128 - u32::from(length)) };
    bits(ip) & mask
}

fn of_address(name: &str, ip: IpAddr) -> Option<Found> {
    let found = match (name, ip) {
        ("family", ip) => return Some(Ok(Val::Int(if ip.is_ipv4() { 4 } else { 6 }))),
        ("isUnspecified", ip) => ip.is_unspecified(),
        ("isLoopback", ip) => ip.is_loopback(),
        ("isLinkLocalMulticast", IpAddr::V4(ip)) => ip.octets()[..3] == [224, 0, 0],
        ("isLinkLocalMulticast", IpAddr::V6(ip)) => ip.segments()[0] & 0xff0f == 0xff02,
        ("isLinkLocalUnicast", IpAddr::V4(ip)) => ip.is_link_local(),
        ("isLinkLocalUnicast", IpAddr::V6(ip)) => ip.is_unicast_link_local(),
        ("isGlobalUnicast", ip) => {
            let link_local = match ip {
                IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
                IpAddr::V6(ip) => ip.is_unicast_link_local(),
            };
            !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local)
        }
        _ => return None,
    };
    Some(Ok(Val::Bool(found)))
}

fn of_range(name: &str, (ip, length): (IpAddr, u8), rest: &[Val]) -> Option<Found> {
    let holds =
        |other: IpAddr| ip.is_ipv4() == other.is_ipv4() && network(ip, length) == network(other, length);
    Some(match (name, rest) {
        ("prefixLength", []) => Ok(Val::Int(length.into())),
        ("masked", []) => {
            let first = network(ip, length);
            let first = match ip {
                IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::from_bits((first >> 96) as u32)),
                IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::from_bits(first)),
            };
            Ok(Val::Cidr(first, length))
        }
        ("containsIP", [Val::Ip(other)]) => Ok(Val::Bool(holds(*other))),
        ("containsIP", [Val::String(text)]) => address(text).map(|other| Val::Bool(holds(other))),
        ("containsCIDR", [Val::Cidr(other, longer)]) => Ok(Val::Bool(*longer >= length && holds(*other))),
        ("containsCIDR", [Val::String(text)]) => {
            range(text).map(|(other, longer)| Val::Bool(longer >= length && holds(other)))
        }
        _ => return None,
    })
}

/// An absolute URL, or a path from the root.
pub(super) fn url(text: &str) -> Result<Url, Fault> {
    let failed = || {
        Fault::new(format!(
            "URL parse error during conversion from string: parse {text:?}: invalid URI for request"
        ))
    };
    let plain = !text.chars().any(|c| c.is_control() || c == ' ');
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (scheme, Some(rest)),
        None if text.starts_with('/') => ("", None),
        None => return Err(failed()),
    };
    let valid = scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && (rest.is_none() || scheme.starts_with(|c: char| c.is_ascii_alphabetic()));
    if !plain || !valid {
        return Err(failed());
    }
    let (authority, path) = match rest {
        None => ("", text),
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
    };
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = host.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or("", |(_, port)| port);
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(failed());
    }
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    Ok(Url {
        text: text.into(),
        scheme: scheme.into(),
        host: host.into(),
        port: port.into(),
        path: path.into(),
        query: query.split('&').filter(|part| !part.is_empty()).map(pair).collect(),
    })
}

fn of_url(name: &str, url: &Url) -> Option<Found> {
    Some(Ok(match name {
        "getScheme" => url.scheme.as_str().into(),
        "getHost" => url.host.as_str().into(),
        "getHostname" => {
            let host = url.host.strip_suffix(&format!(":{}", url.port)).unwrap_or(&url.host);
            host.trim_start_matches('[').trim_end_matches(']').into()
        }
        "getPort" => url.port.as_str().into(),
        "getEscapedPath" => url.path.as_str().into(),
        "getQuery" => {
            let mut lists: BTreeMap<String, Vec<Val>> = BTreeMap::new();
            for (name, value) in &url.query {
                lists.entry(name.clone()).or_default().push(value.as_str().into());
            }
            map(lists.into_iter().map(|(name, values)| (name, values.into())))
        }
        _ => return None,
    }))
}

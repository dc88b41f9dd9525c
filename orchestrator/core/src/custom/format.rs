//! The formats of texts that Kubernetes checks.

use crate::duration;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::meta::parse_time;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Formats that are checked; others are words without effect, of which a definition's author is warned.
pub(super) const KNOWN: [&str; 22] = [
    "byte",
    "cidr",
    "date",
    "date-time",
    "datetime",
    "double",
    "duration",
    "email",
    "float",
    "hexcolor",
    "hostname",
    "int32",
    "int64",
    "ipv4",
    "ipv6",
    "mac",
    "password",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// Whether `text` has the format; every text has an unknown one.
pub(crate) fn is(format: &str, text: &str) -> bool {
    match format {
        "byte" => STANDARD.decode(text).is_ok(),
        "cidr" => is_cidr(text),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "date-time" | "datetime" => parse_time(text).is_some(),
        "duration" => duration::parse(text).is_some(),
        "email" => text.rsplit_once('@').is_some_and(|(user, host)| !user.is_empty() && is_hostname(host)),
        "hexcolor" => {
            let digits = text.strip_prefix('#').unwrap_or(text);
            matches!(digits.len(), 3 | 6) && is_hex(digits)
        }
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "mac" => is_mac(text),
        "uri" => is_uri(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => {
            is_uuid(format.strip_prefix("uuid").unwrap_or_default(), text)
        }
        _ => true,
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let max = if address.is_ipv4() { 32 } else { 128 };
    length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= max)
}

fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 255 && text.trim_end_matches('.').split('.').all(label)
}

fn is_mac(text: &str) -> bool {
    let separator = if text.contains('-') { '-' } else { ':' };
    let parts: Vec<&str> = text.split(separator).collect();
    matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(|part| part.len() == 2 && is_hex(part))
}

/// A scheme and something, or a path from the root: what Go takes for the URI of a request.
fn is_uri(text: &str) -> bool {
    let scheme = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let plain = !text.chars().any(|c| c.is_control() || c == ' ');
    plain
        && (text.starts_with('/')
            || text.split_once(':').is_some_and(|(name, rest)| scheme(name) && !rest.is_empty()))
}

fn is_uuid(version: &str, text: &str) -> bool {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    digits.len() == 32 && is_hex(&digits) && (version.is_empty() || digits[12..13] == *version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_apart() {
        for (format, good, bad) in [
            ("date", "2026-01-31", "2026-02-31"),
            ("date-time", "2026-01-31T00:00:00Z", "2026-01-31"),
            ("duration", "1h30m0.5s", "1 hour"),
            ("byte", "YWJj", "a"),
            ("ipv4", "10.0.0.1", "10.0.0"),
            ("ipv6", "fe80::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("uri", "https://example.com/a", "a b"),
            ("hostname", "a-b.example.com", "-a"),
            ("email", "a@example.com", "a"),
            ("mac", "00:00:5e:00:53:01", "00:00:5e"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123"),
            ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
        ] {
            assert!(is(format, good) && !is(format, bad), "{format}");
        }
        assert!(is("anything", "goes"));
    }
}

//! Formats of names, labels, keys and ports. Each function returns the complaints; none means that the text is good.

use std::net::IpAddr;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const LABEL_KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const MAX_LABEL_BYTES: usize = 63;
const MAX_SUBDOMAIN_BYTES: usize = 253;
const MAX_PORT_NAME_BYTES: usize = 15;

/// How a kind's objects may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    /// RFC 1123 subdomain: most kinds.
    Subdomain,
    /// RFC 1123 label: namespaces.
    Label,
    /// RFC 1035 label: services.
    Dns1035Label,
    /// Whatever can be one segment of a path: roles, whose names carry colons.
    PathSegment,
    /// An address: IPAddresses.
    Address,
}

impl NameRule {
    /// Complaints about `name`. A `prefix`, to which characters will be appended, may end in a dash.
    pub fn check(self, name: &str, prefix: bool) -> Vec<String> {
        let masked = match name.strip_suffix('-') {
            Some(head) if prefix && !head.is_empty() => {
                format!("{}a", &head[..head.len() - last_width(head)])
            }
            _ => name.to_string(),
        };
        match self {
            NameRule::Subdomain => subdomain(&masked),
            NameRule::Label => label(&masked),
            NameRule::Dns1035Label => dns1035_label(&masked),
            NameRule::PathSegment => path_segment(name, prefix),
            NameRule::Address => ip(name),
        }
    }
}

fn last_width(text: &str) -> usize {
    text.chars().next_back().map_or(0, char::len_utf8)
}

fn too_long(text: &str, max_bytes: usize, out: &mut Vec<String>) {
    if text.len() > max_bytes {
        out.push(format!("must be no more than {max_bytes} bytes"));
    }
}

fn lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn edges_and_middle(text: &str, edge: fn(char) -> bool, middle: fn(char) -> bool) -> bool {
    text.starts_with(edge) && text.ends_with(edge) && text.chars().all(middle)
}

fn is_label(text: &str) -> bool {
    edges_and_middle(text, lower, |c| lower(c) || c == '-')
}

/// RFC 1123 label.
pub fn label(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    too_long(text, MAX_LABEL_BYTES, &mut out);
    if is_label(text) {
        return out;
    }
    if text.split('.').all(is_label) {
        out.push("must not contain dots".into());
    } else {
        out.push(format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
        ));
    }
    out
}

/// RFC 1123 subdomain.
pub fn subdomain(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    too_long(text, MAX_SUBDOMAIN_BYTES, &mut out);
    if !text.split('.').all(is_label) {
        out.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN}')"
        ));
    }
    out
}

/// RFC 1035 label.
pub fn dns1035_label(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    too_long(text, MAX_LABEL_BYTES, &mut out);
    if !(is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase())) {
        out.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
             validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .into(),
        );
    }
    out
}

/// One segment of a URL's path; of a `prefix`, only its characters are judged.
pub fn path_segment(text: &str, prefix: bool) -> Vec<String> {
    let whole = [".", ".."].into_iter().filter(|whole| !prefix && text == *whole);
    let contained = ["/", "%"].into_iter().filter(|part| text.contains(part));
    let mut out: Vec<String> = whole.map(|whole| format!("may not be '{whole}'")).collect();
    out.extend(contained.map(|part| format!("may not contain '{part}'")));
    out
}

/// A domain and a path, such as `acme.io/foo`.
pub fn domain_path(text: &str) -> Vec<String> {
    match text.split_once('/') {
        Some((domain, path)) if !domain.is_empty() && !path.is_empty() => {
            let mut out = subdomain(domain);
            if !path.chars().all(|c| c.is_ascii_alphanumeric() || "-/:._~%!$&'()*+,;=".contains(c)) {
                out.push(
                    "Invalid path (e.g. 'path', regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')".into(),
                );
            }
            out
        }
        _ => vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".into()],
    }
}

/// An RFC 1123 subdomain below any one label: `*.example.com`.
pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    too_long(text, MAX_SUBDOMAIN_BYTES, &mut out);
    if !text.strip_prefix("*.").is_some_and(|rest| rest.split('.').all(is_label)) {
        out.push(format!(
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of \
             lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', \
             regex used for validation is '\\*\\.{SUBDOMAIN}')"
        ));
    }
    out
}

fn is_label_name(text: &str) -> bool {
    edges_and_middle(text, |c| c.is_ascii_alphanumeric(), |c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn label_name_rule() -> String {
    format!(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
         character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{LABEL_KEY}')"
    )
}

/// The key of a label or annotation, of a taint, of a finalizer: a name with an optional domain before a slash.
pub fn label_key(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                out.push("prefix part must be non-empty".into());
            } else {
                out.extend(subdomain(prefix).iter().map(|why| format!("prefix part {why}")));
            }
            name
        }
        _ => {
            let rule = label_name_rule();
            return vec![format!(
                "a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        out.push("name part must be non-empty".into());
    } else if name.len() > MAX_LABEL_BYTES {
        out.push(format!("name part must be no more than {MAX_LABEL_BYTES} bytes"));
    }
    if !is_label_name(name) {
        out.push(format!("name part {}", label_name_rule()));
    }
    out
}

/// The value of a label.
pub fn label_value(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    too_long(text, MAX_LABEL_BYTES, &mut out);
    if !text.is_empty() && !is_label_name(text) {
        out.push(format!(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
             validation is '({LABEL_KEY})?')"
        ));
    }
    out
}

/// The name of a container's port.
pub fn port_name(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.len() > MAX_PORT_NAME_BYTES {
        out.push(format!("must be no more than {MAX_PORT_NAME_BYTES} characters"));
    }
    if !text.chars().all(|c| lower(c) || c == '-') {
        out.push("must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !text.chars().any(|c| c.is_ascii_lowercase()) {
        out.push("must contain at least one letter (a-z)".into());
    }
    if text.contains("--") {
        out.push("must not contain consecutive hyphens".into());
    }
    if text.starts_with('-') || text.ends_with('-') {
        out.push("must not begin or end with a hyphen".into());
    }
    out
}

/// The name of an environment variable.
pub fn env_name(text: &str) -> Vec<String> {
    if !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c) && c != '=') {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .into(),
    ]
}

/// A key of a ConfigMap or a Secret.
pub fn data_key(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    too_long(text, MAX_SUBDOMAIN_BYTES, &mut out);
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
        out.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .into(),
        );
    }
    match text {
        "." => out.push("must not be '.'".into()),
        ".." => out.push("must not be '..'".into()),
        _ if text.starts_with("..") => out.push("must not start with '..'".into()),
        _ => {}
    }
    out
}

/// An IPv4 or IPv6 address, in a form that means the same to everybody.
pub fn ip(text: &str) -> Vec<String> {
    let complaint = match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => "must not be an IPv4-mapped IPv6 address",
        Ok(_) => return Vec::new(),
        Err(_) if has_leading_zeros(text) => "must not have leading 0s",
        Err(_) => "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
    };
    vec![complaint.into()]
}

/// Whether some programs would read `text` as an IPv4 address of octal numbers, others of decimal ones.
fn has_leading_zeros(text: &str) -> bool {
    let parts: Vec<Option<u16>> =
        text.split('.').map(|part| part.parse().ok().filter(|_| !part.starts_with('+'))).collect();
    parts.len() == 4 && parts.iter().all(|part| part.is_some_and(|n| n <= 255))
}

/// A path below a volume: relative and without `..`.
pub fn relative_path(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    if text.starts_with('/') {
        out.push("must be a relative path".into());
    }
    if text.split('/').any(|part| part == "..") {
        out.push("must not contain '..'".into());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass() {
        for text in ["a", "a-b", "0a", "123"] {
            assert!(label(text).is_empty() && subdomain(text).is_empty(), "{text}");
        }
        assert!(subdomain("a.b-c.d").is_empty() && dns1035_label("a0").is_empty());
        for key in ["a", "A_b.c", "example.com/Name", "app.kubernetes.io/name"] {
            assert!(label_key(key).is_empty(), "{key}");
        }
        assert!(label_value("").is_empty() && label_value("a_B.c").is_empty());
        assert!(NameRule::Subdomain.check("web-", true).is_empty());
        assert!(
            port_name("http").is_empty() && env_name("my.ENV-1").is_empty() && data_key(".env").is_empty()
        );
    }

    #[test]
    fn bad_names_are_refused_in_kubernetes_words() {
        assert_eq!(
            label("My_Name"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
              end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
        assert_eq!(label("a.b"), ["must not contain dots"]);
        assert_eq!(label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert_eq!(
            subdomain("Web"),
            [
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
              start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert_eq!(
            label_value("-x"),
            [
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
              start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
              for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
        assert_eq!(label_key("a/b/c").len(), 1);
        assert_eq!(label_key("/x"), ["prefix part must be non-empty"]);
        assert_eq!(label_key("")[0], "name part must be non-empty");
        assert_eq!(
            port_name("-"),
            ["must contain at least one letter (a-z)", "must not begin or end with a hyphen"]
        );
        assert_eq!(dns1035_label("1a").len(), 1);
        assert_eq!(data_key(".."), ["must not be '..'"]);
        for (address, expected) in [
            ("10.0.0.5", None),
            ("fd00::1", None),
            ("010.0.0.5", Some("must not have leading 0s")),
            ("::ffff:10.0.0.5", Some("must not be an IPv4-mapped IPv6 address")),
            ("10.0.0", Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")),
            ("256.0.0.1", Some("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")),
        ] {
            assert_eq!(ip(address), expected.into_iter().collect::<Vec<_>>(), "{address}");
        }
        for text in ["", "-", "a-", ".", "a..b", "ä", "é-"] {
            assert!(!NameRule::Subdomain.check(text, false).is_empty(), "{text}");
        }
    }
}

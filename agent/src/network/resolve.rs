//! Names as cluster DNS would answer them, decided in the call.

use super::NetworkError;
use super::tables::Tables;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names with fewer dots are tried with the search domains first (the `ndots` of a pod's resolv.conf).
const NDOTS: usize = 5;
/// The longest name that DNS allows.
const MAX_NAME_BYTES: usize = 253;

/// What is known of a name without asking outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// It would be a name of the cluster and does not exist.
    Unknown,
    /// Not a name of the cluster: this name, lower case and without the trailing dot, may exist outside.
    Outside(String),
}

/// Where a pod asks from.
pub(crate) struct Asker<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) hostname: &'a str,
    pub(crate) address: IpAddr,
    pub(crate) host_aliases: &'a [(String, IpAddr)],
    pub(crate) cluster_domain: &'a str,
}

impl Asker<'_> {
    /// Literals, the pod's own hosts file, then the names of the cluster by search list.
    pub(crate) fn ask(&self, name: &str, tables: &Tables) -> Result<Answer, NetworkError> {
        if let Ok(literal) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return Ok(Answer::Addresses(vec![literal]));
        }
        let (name, absolute) = match name.strip_suffix('.') {
            Some(name) => (name, true),
            None => (name, false),
        };
        if !is_name(name) {
            return Err(NetworkError::InvalidArgument);
        }
        let name = name.to_ascii_lowercase();
        if let Some(addresses) = self.hosts_file(&name) {
            return Ok(Answer::Addresses(addresses));
        }
        let candidates = self.candidates(&name, absolute);
        let found = candidates.iter().find_map(|candidate| tables.lookup(candidate));
        Ok(match found {
            Some(addresses) => Answer::Addresses(addresses.to_vec()),
            None if self.is_of_cluster(&name) => Answer::Unknown,
            None => Answer::Outside(name),
        })
    }

    fn hosts_file(&self, name: &str) -> Option<Vec<IpAddr>> {
        if name == "localhost" || name.ends_with(".localhost") {
            let v4 = IpAddr::V4(Ipv4Addr::LOCALHOST);
            let v6 = IpAddr::V6(Ipv6Addr::LOCALHOST);
            return Some(vec![v4, v6]);
        }
        if name == self.hostname {
            return Some(vec![self.address]);
        }
        let aliased = self.host_aliases.iter().filter(|(alias, _)| alias.eq_ignore_ascii_case(name));
        let addresses: Vec<IpAddr> = aliased.map(|(_, address)| *address).collect();
        (!addresses.is_empty()).then_some(addresses)
    }

    fn candidates(&self, name: &str, absolute: bool) -> Vec<String> {
        let (namespace, domain) = (self.namespace, self.cluster_domain);
        let as_it_is = name.to_owned();
        if absolute {
            return vec![as_it_is];
        }
        let searched = [
            format!("{name}.{namespace}.svc.{domain}"),
            format!("{name}.svc.{domain}"),
            format!("{name}.{domain}"),
        ];
        let mut candidates = Vec::from(searched);
        if name.matches('.').count() < NDOTS {
            candidates.push(as_it_is);
        } else {
            candidates.insert(0, as_it_is);
        }
        candidates
    }

    /// Names of the cluster's domain, and single labels, are never asked outside.
    fn is_of_cluster(&self, name: &str) -> bool {
        let below = name.strip_suffix(self.cluster_domain);
        !name.contains('.') || below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    name.len() <= MAX_NAME_BYTES && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker() -> Asker<'static> {
        Asker {
            namespace: "shop",
            hostname: "web-0",
            address: IpAddr::from([10, 0, 0, 7]),
            host_aliases: &[],
            cluster_domain: "cluster.local",
        }
    }

    fn tables() -> Tables {
        let mut tables = Tables::new();
        tables.add_name("db.shop.svc.cluster.local", [IpAddr::from([10, 96, 0, 1])]);
        tables.add_name("db.other.svc.cluster.local", [IpAddr::from([10, 96, 0, 2])]);
        tables.add_name(
            "nodes.shop.svc.cluster.local",
            [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])],
        );
        tables.add_name("empty.shop.svc.cluster.local", []);
        tables
    }

    fn addresses(name: &str) -> Vec<String> {
        match asker().ask(name, &tables()) {
            Ok(Answer::Addresses(addresses)) => addresses.iter().map(IpAddr::to_string).collect(),
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn services_resolve_by_every_usual_form() {
        for name in
            ["db", "DB", "db.shop", "db.shop.svc", "db.shop.svc.cluster.local", "db.shop.svc.cluster.local."]
        {
            assert_eq!(addresses(name), ["10.96.0.1"], "{name}");
        }
        assert_eq!(addresses("db.other"), ["10.96.0.2"]);
        assert_eq!(addresses("nodes"), ["10.0.0.1", "10.0.0.2"]);
        assert!(addresses("empty").is_empty());
    }

    #[test]
    fn the_pod_knows_itself_and_literals() {
        assert_eq!(addresses("localhost"), ["127.0.0.1", "::1"]);
        assert_eq!(addresses("web-0"), ["10.0.0.7"]);
        assert_eq!(addresses("192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(addresses("::1"), ["::1"]);
        assert_eq!(addresses("[::1]"), ["::1"]);
    }

    #[test]
    fn host_aliases_come_before_the_cluster() {
        let aliases = [("db".to_owned(), IpAddr::from([192, 0, 2, 5]))];
        let asker = Asker { host_aliases: &aliases, ..asker() };
        assert_eq!(asker.ask("db", &tables()), Ok(Answer::Addresses(vec![IpAddr::from([192, 0, 2, 5])])));
    }

    #[test]
    fn unknown_names_of_the_cluster_stay_inside() {
        for name in ["nobody", "nobody.shop.svc.cluster.local", "cluster.local", "db."] {
            assert_eq!(asker().ask(name, &tables()), Ok(Answer::Unknown), "{name}");
        }
        assert_eq!(asker().ask("WWW.Example.com.", &tables()), Ok(Answer::Outside("www.example.com".into())));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", ".", "a..b", "a b", "ü", &"a".repeat(64), &"a.".repeat(200)] {
            assert_eq!(asker().ask(name, &tables()), Err(NetworkError::InvalidArgument), "{name}");
        }
    }
}

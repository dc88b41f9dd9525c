//! The way out of the fabric: rules that say which destinations outside of the cluster a pod may reach, and the
//! gateway of real kernel sockets behind them. Without a rule there is no way out.

use super::NetworkError;
use async_trait::async_trait;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use tokio::net::TcpStream;

/// A range of addresses, `ADDRESS/PREFIX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix_bits: u8,
}

impl Cidr {
    /// The range of the first `prefix_bits` bits of `address`; `None` when the family has fewer bits.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Cidr> {
        (prefix_bits <= width(address)).then_some(Cidr { network: address, prefix_bits })
    }

    /// The lowest address of the range.
    pub fn first(&self) -> IpAddr {
        let shift = u32::from(width(self.network) - self.prefix_bits);
        let kept =
            bits(self.network).checked_shr(shift).and_then(|kept| kept.checked_shl(shift)).unwrap_or(0);
        match self.network {
            IpAddr::V4(_) => IpAddr::from((kept as u32).to_be_bytes()),
            IpAddr::V6(_) => IpAddr::from(kept.to_be_bytes()),
        }
    }

    /// Whether `address` lies in the range. An IPv4-mapped IPv6 address is its IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if width(address) != width(self.network) {
            return false;
        }
        let shift = u32::from(width(address) - self.prefix_bits);
        (bits(address) ^ bits(self.network)).checked_shr(shift).unwrap_or(0) == 0
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

impl FromStr for Cidr {
    type Err = String;

    /// `10.0.0.0/8`, `2001:db8::/32`, or a bare address for that address alone.
    fn from_str(text: &str) -> Result<Cidr, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("{text:?} is no CIDR: {address:?} is no address"))?;
        let prefix_bits = match prefix {
            Some(prefix) => {
                prefix.parse().map_err(|_| format!("{text:?} is no CIDR: bad prefix {prefix:?}"))?
            }
            None => width(address),
        };
        Cidr::new(address, prefix_bits)
            .ok_or_else(|| format!("{text:?} is no CIDR: prefix longer than the address"))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix_bits)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Destination {
    Range(Cidr),
    /// Lower case; `*.` before it stands for any name below it.
    Host(String),
}

/// One allowed destination: `CIDR`, `ADDRESS`, `HOST` or `*.DOMAIN`, each with an optional `:PORT`
/// (an IPv6 range with a port in brackets: `[2001:db8::/32]:443`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressRule {
    destination: Destination,
    port: Option<u16>,
}

impl EgressRule {
    fn matches_host(&self, name: &str) -> bool {
        match &self.destination {
            Destination::Range(_) => false,
            Destination::Host(host) => match host.strip_prefix("*.") {
                Some(domain) => {
                    name.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                }
                None => host == name,
            },
        }
    }

    fn matches_port(&self, port: u16) -> bool {
        self.port.is_none_or(|allowed| allowed == port)
    }
}

impl FromStr for EgressRule {
    type Err = String;

    fn from_str(text: &str) -> Result<EgressRule, String> {
        let text = text.trim();
        let (destination, port) = split_port(text);
        let port = port
            .map(|port| port.parse::<u16>().ok().filter(|port| *port != 0))
            .map(|port| port.ok_or_else(|| format!("egress rule {text:?}: the port is none of 1 to 65535")))
            .transpose()?;
        let destination = if destination.contains('/') || destination.parse::<IpAddr>().is_ok() {
            Destination::Range(destination.parse()?)
        } else {
            Destination::Host(
                host_name(destination)
                    .ok_or_else(|| format!("egress rule {text:?}: neither CIDR[:PORT] nor HOST[:PORT]"))?,
            )
        };
        Ok(EgressRule { destination, port })
    }
}

fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((inner, after)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inner, after.strip_prefix(':'));
    }
    match text.split_once(':') {
        Some((destination, port)) if !port.contains(':') => (destination, Some(port)),
        _ => (text, None),
    }
}

fn host_name(text: &str) -> Option<String> {
    let labels = text.strip_prefix("*.").unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    labels.split('.').all(is_label).then(|| text.to_ascii_lowercase())
}

/// What a pod may reach outside of the cluster. The default allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EgressRules {
    rules: Vec<EgressRule>,
}

impl EgressRules {
    /// No way out.
    pub fn none() -> EgressRules {
        EgressRules::default()
    }

    /// Rules from their written form, one each; the error names the first that is none.
    pub fn parse<'a>(rules: impl IntoIterator<Item = &'a str>) -> Result<EgressRules, String> {
        rules.into_iter().map(str::parse).collect::<Result<Vec<_>, _>>().map(|rules| EgressRules { rules })
    }

    /// Both sets of rules together (those of the node and those of the pod).
    pub fn union(&self, other: &EgressRules) -> EgressRules {
        EgressRules { rules: self.rules.iter().chain(&other.rules).cloned().collect() }
    }

    /// Whether a range allows the destination.
    pub fn allow_address(&self, to: SocketAddr) -> bool {
        let in_range = |rule: &EgressRule| match &rule.destination {
            Destination::Range(range) => range.contains(to.ip()),
            Destination::Host(_) => false,
        };
        self.rules.iter().any(|rule| rule.matches_port(to.port()) && in_range(rule))
    }

    /// The ports that HOST rules open on the addresses of this lower-case name (`None`: every port); empty when no
    /// HOST rule names it.
    pub fn host_ports(&self, name: &str) -> Vec<Option<u16>> {
        self.rules.iter().filter(|rule| rule.matches_host(name)).map(|rule| rule.port).collect()
    }

    /// Whether any range is allowed, so that the pod has a use for addresses outside.
    pub fn has_range(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.destination, Destination::Range(_)))
    }
}

/// Whether a HOST rule may ever open this address: a name is in its owner's hand, and must not lead to the host
/// itself, to its links or to the cluster.
pub(crate) fn is_public_enough(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_multicast()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local())
        }
    }
}

/// Real sockets behind the rules. A seam: tests put another network there.
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Opens a stream to an address that has been allowed.
    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream>;
    /// Asks the host's resolver for a name that has been allowed.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The host's own network.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostGateway;

#[async_trait]
impl Gateway for HostGateway {
    async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// How long the gateway waits for a stream; the kernel's own limit is over two minutes.
pub(crate) const GATEWAY_CONNECT_SECONDS: u64 = 60;

pub(crate) async fn connect_outside(
    gateway: &dyn Gateway,
    to: SocketAddr,
) -> Result<TcpStream, NetworkError> {
    let limit = std::time::Duration::from_secs(GATEWAY_CONNECT_SECONDS);
    match tokio::time::timeout(limit, gateway.connect(to)).await {
        Ok(outcome) => outcome.map_err(|error| NetworkError::from_io(&error)),
        Err(_) => Err(NetworkError::TimedOut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let rules = EgressRules::none();
        assert!(!rules.allow_address(address("192.0.2.1:80")));
        assert!(rules.host_ports("example.com").is_empty());
    }

    #[test]
    fn ranges_hold_their_bits_and_ports() {
        let rules =
            EgressRules::parse(["10.1.0.0/16", "192.0.2.7:443", "[2001:db8::/32]:80", "::1"]).unwrap();
        assert!(rules.allow_address(address("10.1.255.255:1")));
        assert!(rules.allow_address(address("[::ffff:10.1.0.1]:1")));
        assert!(!rules.allow_address(address("10.2.0.0:1")));
        assert!(rules.allow_address(address("192.0.2.7:443")));
        assert!(!rules.allow_address(address("192.0.2.7:80")));
        assert!(rules.allow_address(address("[2001:db8:ffff::1]:80")));
        assert!(!rules.allow_address(address("[2001:db8:ffff::1]:81")));
        assert!(!rules.allow_address(address("[2001:db9::1]:80")));
        assert!(EgressRules::parse(["0.0.0.0/0"]).unwrap().allow_address(address("203.0.113.9:9")));
        assert!(!EgressRules::parse(["0.0.0.0/0"]).unwrap().allow_address(address("[2001:db8::1]:9")));
    }

    #[test]
    fn hosts_match_exactly_or_below_a_star() {
        let rules = EgressRules::parse(["Example.com:443", "*.internal"]).unwrap();
        assert_eq!(rules.host_ports("example.com"), [Some(443)]);
        assert!(rules.host_ports("www.example.com").is_empty());
        assert_eq!(rules.host_ports("a.b.internal"), [None]);
        assert!(rules.host_ports("internal").is_empty());
        assert!(rules.host_ports(".internal").is_empty());
        assert!(rules.host_ports("evilinternal").is_empty());
    }

    #[test]
    fn bad_rules_are_named() {
        for bad in [
            "",
            "10.0.0.0/33",
            "a..b",
            "host:0",
            "host:99999",
            "http://x/",
            "::1/129",
            "a b",
            "*",
            "10.0.0.0/-1",
        ] {
            let error = EgressRules::parse([bad]).expect_err(bad);
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_name_cannot_open_the_host_itself() {
        for inside in
            ["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "::ffff:127.0.0.1"]
        {
            assert!(!is_public_enough(inside.parse().unwrap()), "{inside}");
        }
        assert!(is_public_enough("10.0.0.1".parse().unwrap()));
        assert!(is_public_enough("2001:db8::1".parse().unwrap()));
    }
}

//! What a control plane is started with.

use crate::machine;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Where API servers listen.
const PORT: u16 = 6443;
/// node-monitor-grace-period of kube-controller-manager.
const NODE_GRACE: Duration = Duration::from_secs(50);
/// Names under which pods and tools reach the API server.
const NAMES: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// What a control plane is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept; made if it is not there.
    pub data_dir: PathBuf,
    /// Port 0 picks a free one.
    pub listen: SocketAddr,
    /// How long a node may be silent before its pods are evicted.
    pub node_grace: Duration,
    /// Further DNS names and addresses for the server's certificate.
    pub names: Vec<String>,
    /// The address under which nodes and pods reach the server; none: the one that it listens on, or where it listens on
    /// all, the machine's first that others can reach.
    pub advertise: Option<IpAddr>,
    /// Whether NetworkPolicies are kept although nothing enforces them.
    pub accept_network_policies: bool,
}

impl Config {
    /// The usual settings: 127.0.0.1:6443, and Kubernetes' grace for a silent node.
    pub fn new(data_dir: impl Into<PathBuf>) -> Config {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        Config {
            data_dir: data_dir.into(),
            listen,
            node_grace: NODE_GRACE,
            names: Vec::new(),
            advertise: None,
            accept_network_policies: false,
        }
    }

    /// What the server's certificate is issued for.
    pub(crate) fn server_names(&self, listen: IpAddr, first_cluster_ip: Ipv4Addr) -> Vec<String> {
        let mut names: Vec<String> = NAMES.map(Into::into).into();
        names.push(first_cluster_ip.to_string());
        if listen.is_unspecified() {
            names.extend(machine::addresses().iter().map(IpAddr::to_string));
            names.extend(machine::host_name());
        } else {
            names.push(listen.to_string());
        }
        names.extend(self.advertise.iter().map(IpAddr::to_string));
        names.extend(self.names.iter().cloned());
        names.sort();
        names.dedup();
        names
    }
}

impl Config {
    /// Where the server that listens on `listening` is found by others.
    pub(crate) fn advertised(&self, listening: SocketAddr) -> SocketAddr {
        let own = || machine::addresses().into_iter().find(|ip| ip.is_ipv4() && !ip.is_loopback());
        let ip = match (self.advertise, listening.ip()) {
            (Some(ip), _) => ip,
            (None, ip) if ip.is_unspecified() => own().unwrap_or(Ipv4Addr::LOCALHOST.into()),
            (None, ip) => ip,
        };
        SocketAddr::new(ip, listening.port())
    }
}

/// The URL that clients on this machine use.
pub(crate) fn url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("https://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_for_everybody_are_reached_locally() {
        assert_eq!(url("0.0.0.0:6443".parse().unwrap()), "https://127.0.0.1:6443");
        assert_eq!(url("[::]:1".parse().unwrap()), "https://[::1]:1");
        assert_eq!(url("10.0.0.1:1".parse().unwrap()), "https://10.0.0.1:1");
    }

    #[test]
    fn the_certificate_names_every_way_in() {
        let names = Config::new("/data").server_names([10, 1, 2, 3].into(), [10, 96, 0, 1].into());
        for name in ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc", "10.96.0.1", "10.1.2.3"] {
            assert!(names.iter().any(|own| own == name), "{name}");
        }
    }
}

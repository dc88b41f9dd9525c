//! A network of a test's own: a switch with the test on it, and machines, each a network namespace with one cable.

use crate::process::Place;
use std::net::IpAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

/// The switch. Dropping it takes the network down.
pub struct Switch {
    id: String,
    network: [u8; 3],
    machines: Vec<String>,
}

impl Switch {
    /// A switch without machines.
    ///
    /// # Panics
    /// This machine lets nobody make networks, or lacks `ip`; the message says so.
    pub fn new() -> Switch {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let (pid, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // 198.18.0.0/15 is for tests of networks: nothing else is there.
        let [low, high, ..] = pid.to_le_bytes();
        let network = [198, 18 + high % 2, low.wrapping_add(number.wrapping_mul(67))];
        let switch = Switch { id: format!("pp{pid}n{number}"), network, machines: Vec::new() };
        ip(&format!("link add {} type bridge", switch.id));
        ip(&format!("addr add {}/24 dev {}", switch.host(), switch.id));
        ip(&format!("link set {} up", switch.id));
        switch
    }

    fn address(&self, last: u8) -> IpAddr {
        let [a, b, c] = self.network;
        IpAddr::from([a, b, c, last])
    }

    /// The test's own address on the switch.
    pub fn host(&self) -> IpAddr {
        self.address(1)
    }

    /// Connects another machine.
    pub fn machine(&mut self) -> Place {
        let number = self.machines.len() as u8;
        let (name, port) = (format!("{}m{number}", self.id), format!("{}p{number}", self.id));
        let address = self.address(2 + number);
        ip(&format!("netns add {name}"));
        self.machines.push(name.clone());
        ip(&format!("link add {port} type veth peer name eth0 netns {name}"));
        ip(&format!("link set {port} master {} up", self.id));
        ip(&format!("-n {name} addr add {address}/24 dev eth0"));
        ip(&format!("-n {name} link set eth0 up"));
        ip(&format!("-n {name} link set lo up"));
        Place::in_namespace(&name, address)
    }

    /// Pulls the machine's cable out, or puts it in again.
    pub fn plug(&self, machine: &Place, is_in: bool) {
        let number = self.machines.iter().position(|name| Some(name) == machine.namespace.as_ref());
        let number = number.expect("the machine is of this switch");
        ip(&format!("link set {}p{number} {}", self.id, if is_in { "up" } else { "down" }));
    }
}

impl Default for Switch {
    fn default() -> Switch {
        Switch::new()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for name in &self.machines {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
        let _ = Command::new("ip").args(["link", "del", &self.id]).status();
    }
}

fn ip(line: &str) {
    let ran = Command::new("ip").args(line.split(' ')).output();
    let ran = ran.unwrap_or_else(|error| panic!("`ip` does not run ({error}): install iproute2"));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "`ip {line}` failed: {said}This test makes network namespaces: run it as root (CAP_NET_ADMIN, CAP_SYS_ADMIN)"
    );
}

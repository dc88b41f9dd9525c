//! Ports that are in each other's way.

use super::containers;
use crate::validation::{child, indexed, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// More ports of the same number than these are not compared with each other.
const MAX_COMPARED: usize = 64;

/// A port of a container, and where it stands.
struct Port<'a> {
    path: String,
    host: i64,
    ip: &'a str,
}

/// Of all containers of a pod whose spec stands at `path`.
pub(super) fn look(path: &str, spec: &Value, out: &mut Vec<String>) {
    let mut all: BTreeMap<(i64, &str), Vec<Port<'_>>> = BTreeMap::new();
    for (path, container) in containers(path, spec) {
        for (path, port) in indexed(&container["ports"], &child(&path, "ports")) {
            let number = |field: &str| port[field].as_i64().unwrap_or(0);
            let (inside, protocol) = (number("containerPort"), text(&port["protocol"]));
            let one = Port { path, host: number("hostPort"), ip: text(&port["hostIP"]) };
            if !one.ip.is_empty() && one.host == 0 {
                out.push(format!(
                    "{}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{inside} Protocol:{protocol} \
                     HostIP:{}}}",
                    one.path,
                    text(&port["name"]),
                    one.ip
                ));
            }
            let others = all.entry((inside, protocol)).or_default();
            out.extend(others.iter().take(MAX_COMPARED).filter_map(|other| conflict(&one, other)));
            others.push(one);
        }
    }
}

fn conflict(one: &Port<'_>, other: &Port<'_>) -> Option<String> {
    let how = if (one.ip, one.host) == (other.ip, other.host) {
        "duplicate"
    } else if one.host == 0 || other.host == 0 {
        "overlapping"
    } else if one.host == other.host && one.ip.is_empty() != other.ip.is_empty() {
        "dangerously ambiguous"
    } else {
        return None;
    };
    Some(format!("{}: {how} port definition with {}", one.path, other.path))
}

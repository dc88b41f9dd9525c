//! What each level forbids. A module cannot be root, escalate or see its host, so nothing has to be said against that; to
//! ask for it is a violation all the same. What a WASI pod can really get is the network outside, by its annotation.

use super::Level;
use crate::validation::{items, text};
use peapod_api::well_known::ALLOW_EGRESS;
use serde_json::Value;
use std::net::IpAddr;

/// Destinations that are the node itself, or only reached from there.
const NODE_RANGES: [(&str, u32); 4] = [("127.0.0.0", 8), ("169.254.0.0", 16), ("::1", 128), ("fe80::", 10)];
/// What Kubernetes' `baseline` lets containers add.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
    "NET_RAW",
];

/// One rule: from which level on it holds, and what of a pod is against it.
struct Check {
    from: Level,
    find: fn(&Value) -> Option<String>,
}

const CHECKS: [Check; 10] = [
    Check { from: Level::Baseline, find: |pod| capabilities(pod, &DEFAULT_CAPABILITIES, "non-default") },
    Check { from: Level::Baseline, find: host_ports },
    Check { from: Level::Baseline, find: proc_mount },
    Check { from: Level::Baseline, find: seccomp },
    Check { from: Level::Baseline, find: egress_to_node },
    Check { from: Level::Restricted, find: escalation },
    Check { from: Level::Restricted, find: |pod| capabilities(pod, &["NET_BIND_SERVICE"], "unrestricted") },
    Check {
        from: Level::Restricted,
        find: |pod| {
            let found = who(pod, |context| context["runAsNonRoot"] == false);
            found.map(|who| {
                format!("runAsNonRoot != true ({who} must not set securityContext.runAsNonRoot=false)")
            })
        },
    },
    Check {
        from: Level::Restricted,
        find: |pod| {
            let found = who(pod, |context| context["runAsUser"] == 0);
            found.map(|who| format!("runAsUser=0 ({who} must not set runAsUser=0)"))
        },
    },
    Check {
        from: Level::Restricted,
        find: |pod| {
            let asks = !egress(pod).is_empty();
            asks.then(|| format!("egress (annotation {ALLOW_EGRESS} must not be set)"))
        },
    },
];

/// What of a pod, or of a pod template, a level forbids, in words.
pub(super) fn violations(level: Level, pod: &Value) -> Vec<String> {
    CHECKS.iter().filter(|check| level >= check.from).filter_map(|check| (check.find)(pod)).collect()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| items(&pod["spec"][list]))
}

/// `container "a"`, `containers "a", "b"`: those that are chosen; none if there are none.
fn named<'a>(chosen: impl Iterator<Item = &'a Value>) -> Option<String> {
    let names: Vec<String> = chosen.map(|container| format!("{:?}", text(&container["name"]))).collect();
    match names.len() {
        0 => None,
        1 => Some(format!("container {}", names[0])),
        _ => Some(format!("containers {}", names.join(", "))),
    }
}

/// Whose security context is so: `pod`, containers, or both.
fn who(pod: &Value, is_so: fn(&Value) -> bool) -> Option<String> {
    let whole = is_so(&pod["spec"]["securityContext"]).then(|| "pod".to_string());
    let parts = named(containers(pod).filter(|container| is_so(&container["securityContext"])));
    let all: Vec<String> = whole.into_iter().chain(parts).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

fn capabilities(pod: &Value, allowed: &[&str], what: &str) -> Option<String> {
    let added = |container: &Value| -> Vec<String> {
        let added = items(&container["securityContext"]["capabilities"]["add"]).map(text);
        added.filter(|name| !allowed.contains(name)).map(|name| format!("{name:?}")).collect()
    };
    let names: Vec<String> = containers(pod).flat_map(added).collect();
    let who = named(containers(pod).filter(|container| !added(container).is_empty()))?;
    let names = names.join(", ");
    Some(format!("{what} capabilities ({who} must not include {names} in securityContext.capabilities.add)"))
}

fn host_ports(pod: &Value) -> Option<String> {
    let ports = |container: &Value| -> Vec<String> {
        let ports = items(&container["ports"]).filter_map(|port| port["hostPort"].as_i64());
        ports.filter(|port| *port != 0).map(|port| port.to_string()).collect()
    };
    let all: Vec<String> = containers(pod).flat_map(ports).collect();
    let who = named(containers(pod).filter(|container| !ports(container).is_empty()))?;
    let (verb, plural) =
        (if who.starts_with("containers") { "use" } else { "uses" }, if all.len() > 1 { "s" } else { "" });
    Some(format!("hostPort ({who} {verb} hostPort{plural} {})", all.join(", ")))
}

fn proc_mount(pod: &Value) -> Option<String> {
    let who =
        named(containers(pod).filter(|container| container["securityContext"]["procMount"] == "Unmasked"))?;
    Some(format!("procMount ({who} must not set securityContext.procMount to \"Unmasked\")"))
}

fn seccomp(pod: &Value) -> Option<String> {
    let who = who(pod, |context| context["seccompProfile"]["type"] == "Unconfined")?;
    Some(format!("seccompProfile ({who} must not set securityContext.seccompProfile.type to \"Unconfined\")"))
}

fn escalation(pod: &Value) -> Option<String> {
    let asks = |container: &&Value| container["securityContext"]["allowPrivilegeEscalation"] == true;
    let who = named(containers(pod).filter(asks))?;
    Some(format!(
        "allowPrivilegeEscalation != false ({who} must not set securityContext.allowPrivilegeEscalation=true)"
    ))
}

/// The rules of the annotation: `CIDR[:PORT]`, `HOST[:PORT]`.
fn egress(pod: &Value) -> Vec<&str> {
    let rules = text(&pod["metadata"]["annotations"][ALLOW_EGRESS]);
    rules.split(',').map(str::trim).filter(|rule| !rule.is_empty()).collect()
}

fn egress_to_node(pod: &Value) -> Option<String> {
    let found: Vec<&str> = egress(pod).into_iter().filter(|rule| reaches_node(rule)).collect();
    let rules = found.join(", ");
    (!found.is_empty())
        .then(|| format!("egress to the node (annotation {ALLOW_EGRESS} must not allow {rules})"))
}

/// Whether a rule allows the node's loopback or its link, be it as part of a greater range.
fn reaches_node(rule: &str) -> bool {
    let host = rule.to_ascii_lowercase();
    if host.split(':').next().is_some_and(|name| name == "localhost" || name.ends_with(".localhost")) {
        return true;
    }
    let Some((address, bits)) = range(rule) else { return false };
    let meets = |(other, other_bits): &(&str, u32)| {
        let other: Option<IpAddr> = other.parse().ok();
        other.is_some_and(|other| begin_alike(address, other, bits.min(*other_bits)))
    };
    NODE_RANGES.iter().any(meets)
}

/// The address and the length of a range, or of a single address; a port after it does not matter.
fn range(rule: &str) -> Option<(IpAddr, u32)> {
    let rule = rule.trim_start_matches('[');
    let whole = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
    if let Some((address, rest)) = rule.split_once('/') {
        let address: IpAddr = address.trim_end_matches(']').parse().ok()?;
        let digits = rest.split([':', ']']).next().unwrap_or_default();
        return Some((address, digits.parse::<u32>().ok()?.min(whole(address))));
    }
    let without_port =
        [rule.split_once(']'), rule.rsplit_once(':')].into_iter().flatten().map(|(host, _)| host);
    let address: IpAddr = [rule].into_iter().chain(without_port).find_map(|text| text.parse().ok())?;
    Some((address, whole(address)))
}

/// Whether the first `bits` of both are the same; never of different families.
fn begin_alike(a: IpAddr, b: IpAddr, bits: u32) -> bool {
    let difference = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => u128::from(a.to_bits() ^ b.to_bits()) << 96,
        (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits() ^ b.to_bits(),
        _ => return false,
    };
    difference.leading_zeros() >= bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_level_forbids_what_it_names() {
        let context =
            |context: Value| json!({"spec": {"containers": [{"name": "a", "securityContext": context}]}});
        let asking = |rules: &str| json!({"metadata": {"annotations": {ALLOW_EGRESS: rules}}});
        let ports = json!({"spec": {"containers": [{"name": "a", "ports": [{"hostPort": 80}]}]}});
        for (pod, level, expected) in [
            (
                context(json!({"capabilities": {"add": ["SYS_ADMIN"]}})),
                Level::Baseline,
                "non-default capabilities",
            ),
            (
                context(json!({"capabilities": {"add": ["CHOWN"]}})),
                Level::Restricted,
                "unrestricted capabilities",
            ),
            (ports, Level::Baseline, "hostPort (container \"a\" uses hostPort 80)"),
            (context(json!({"procMount": "Unmasked"})), Level::Baseline, "procMount"),
            (context(json!({"seccompProfile": {"type": "Unconfined"}})), Level::Baseline, "seccompProfile"),
            (
                context(json!({"allowPrivilegeEscalation": true})),
                Level::Restricted,
                "allowPrivilegeEscalation",
            ),
            (context(json!({"runAsNonRoot": false})), Level::Restricted, "runAsNonRoot"),
            (
                json!({"spec": {"securityContext": {"runAsUser": 0}}}),
                Level::Restricted,
                "runAsUser=0 (pod must not",
            ),
            (asking("169.254.169.254:80"), Level::Baseline, "egress to the node"),
            (asking("10.0.0.0/8, example.com:443"), Level::Restricted, "egress (annotation"),
        ] {
            let found = violations(level, &pod).join(", ");
            assert!(found.contains(expected), "{pod}: {found}");
            let below = if level == Level::Restricted { Level::Baseline } else { Level::Privileged };
            assert_eq!(violations(below, &pod), Vec::<String>::new(), "{pod}");
        }
    }

    #[test]
    fn rules_that_reach_the_node_are_known() {
        for rule in [
            "0.0.0.0/0",
            "127.0.0.1",
            "127.1.2.3:80",
            "169.0.0.0/8:443",
            "::/0",
            "::1",
            "[::1]:80",
            "LOCALHOST:1",
        ] {
            assert!(reaches_node(rule), "{rule}");
        }
        for rule in
            ["10.0.0.0/8", "8.8.8.8:53", "2001:db8::/32", "example.com", "fc00::1", "[2001:db8::1]:443"]
        {
            assert!(!reaches_node(rule), "{rule}");
        }
    }
}

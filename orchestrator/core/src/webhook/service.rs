//! Where a Service of the cluster is reached from the server.

use crate::snapshot::Snapshot;
use crate::validation::{items, text};
use peapod_api::well_known::SERVICE_LABEL;
use serde_json::Value;

const SLICES: &str = "endpointslices.discovery.k8s.io";

/// One way to reach a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// An address, or the name of a host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The node of the pod that it is; none for what is no pod and is reached over the machine's own network.
    pub node: Option<String>,
}

/// The ways to reach `port` of a Service. Errors: there are none, as Kubernetes says it.
pub fn backends(snapshot: &Snapshot, namespace: &str, name: &str, port: u16) -> Result<Vec<Backend>, String> {
    let service = snapshot.find("services", namespace, name).map(|service| service.value());
    let Some(service) = service else { return Err(format!("service {name:?} not found")) };
    let spec = &service["spec"];
    if spec["type"] == "ExternalName" {
        return Ok(vec![Backend { host: text(&spec["externalName"]).into(), port, node: None }]);
    }
    let is_asked = |own: &&Value| own["port"].as_u64() == Some(port.into());
    let Some(asked) = items(&spec["ports"]).find(is_asked) else {
        return Err(format!("no service port {port} found for service {name:?}"));
    };
    let slices = snapshot.list(SLICES, Some(namespace));
    let own = slices.filter(|slice| slice.header.labels.get(SERVICE_LABEL).is_some_and(|own| own == name));
    let found: Vec<Backend> = own.flat_map(|slice| of_slice(&slice.value(), text(&asked["name"]))).collect();
    if found.is_empty() {
        return Err(format!("no endpoints available for service {name:?}"));
    }
    Ok(found)
}

fn of_slice(slice: &Value, port_name: &str) -> Vec<Backend> {
    let port = items(&slice["ports"]).find(|port| text(&port["name"]) == port_name);
    let Some(port) = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok()) else {
        return Vec::new();
    };
    let ready = items(&slice["endpoints"]).filter(|endpoint| endpoint["conditions"]["ready"] != false);
    let backends = ready.flat_map(|endpoint| {
        let is_pod = endpoint["targetRef"]["kind"] == "Pod";
        let node = endpoint["nodeName"].as_str().filter(|_| is_pod);
        items(&endpoint["addresses"]).map(move |address| Backend {
            host: text(address).into(),
            port,
            node: node.map(String::from),
        })
    });
    backends.collect()
}

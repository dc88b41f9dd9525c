//! What all pods of the node share.

use super::range::PodRange;
use super::spec::Pod;
use crate::api::Api;
use crate::events::{Events, Kind, Subject};
use crate::image::Puller;
use crate::logs::Directory;
use crate::network::{EgressRules, Fabric, PodIdentity};
use crate::runtime::Runtime;
use crate::volume::reference::References;
use peapod_api::well_known::ALLOW_EGRESS;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The node, as its pods use it.
pub(crate) struct Context {
    pub(crate) api: Api,
    pub(crate) events: Events,
    pub(crate) fabric: Fabric,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) puller: Puller,
    pub(crate) references: References,
    pub(crate) logs: Directory,
    pub(crate) addresses: Arc<PodRange>,
    pub(crate) node_name: String,
    pub(crate) host_ip: IpAddr,
    /// Holds a directory for each pod, named by its uid.
    pub(crate) pods_dir: PathBuf,
    pub(crate) egress: EgressRules,
    pub(crate) egress_annotation: bool,
}

impl Context {
    /// The pod's own directory.
    pub(crate) fn dir(&self, pod: &Pod) -> PathBuf {
        self.pods_dir.join(&pod.metadata.uid)
    }

    /// Records an event about a pod or one of its containers.
    pub(crate) fn event(
        &self,
        pod: &Pod,
        container: Option<&str>,
        kind: Kind,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        self.events.record(Subject::pod(pod, container), kind, reason, message);
    }

    /// Who the pod is on the network. Errors: its egress annotation is wrong or not allowed here; a sentence.
    pub(crate) fn identity(&self, pod: &Pod, ip: IpAddr) -> Result<PodIdentity, String> {
        let metadata = &pod.metadata;
        let mut identity = PodIdentity::new(&metadata.namespace, &metadata.name, &metadata.uid, ip);
        identity.hostname = pod.hostname().to_string();
        identity.egress = self.egress.clone();
        for alias in &pod.spec.host_aliases {
            let Ok(ip) = alias.ip.parse() else { continue };
            identity.host_aliases.extend(alias.hostnames.iter().map(|name| (name.clone(), ip)));
        }
        if let Some(rules) = metadata.annotations.get(ALLOW_EGRESS) {
            if !self.egress_annotation {
                return Err(format!("annotation {ALLOW_EGRESS}: this node does not let pods ask for egress"));
            }
            let rules = rules.split(',').map(str::trim).filter(|rule| !rule.is_empty());
            let own = EgressRules::parse(rules).map_err(|why| format!("annotation {ALLOW_EGRESS}: {why}"))?;
            identity.egress = identity.egress.union(&own);
        }
        Ok(identity)
    }
}

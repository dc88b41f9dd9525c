//! What every cluster has before its first user comes: namespaces, the Service of the API itself, fresh node Leases.

use super::FrontDoor;
use super::commit::Failure;
use super::prepare::{self, Step};
use peapod_api::error::Reason;
use peapod_api::well_known::{NODE_LEASES, SERVICE_LABEL, SKIP_MIRROR};
use peapod_api::{Error, Key, kinds};
use peapod_core::admission::namespace;
use peapod_core::api_services;
use peapod_core::auth::rbac::defaults::{self, Mend};
use peapod_core::controllers::namespace_defaults::{ROOT_CA, SYSTEM};
use peapod_core::served::Served;
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy::{self, Endpoint, class};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// How often an object is tried again that somebody else writes at the same time.
const MAX_ATTEMPTS: usize = 8;
/// How long a node's Lease promises to be good for, in seconds.
const LEASE_SECONDS: i64 = 40;

/// Where and with which certificates the API is found.
#[derive(Clone, Debug)]
pub struct Advertised {
    /// The address that clients inside the cluster reach the server at.
    pub address: SocketAddr,
}

/// What has to happen to an object that is there, by it and by what it should be at least; none: it is good.
type Reconciled = fn(&Value, &Value) -> Option<Mend>;

/// What users may name without having made it: the classes of the system's priorities, the groups of the API.
fn own_objects() -> Vec<Value> {
    let priority = |(name, value): (&str, i64)| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value,
            "description": "Used for system critical pods.",
        })
    };
    class::SYSTEM.map(priority).into_iter().chain(api_services::local()).collect()
}

impl FrontDoor {
    /// Makes sure that the cluster has what every cluster has. Called once, before anybody else writes.
    pub async fn bootstrap(&self, advertised: &Advertised) -> Result<(), Error> {
        for name in namespace::DEFAULT {
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            self.ensure(object).await?;
        }
        for object in self.kubernetes_service(advertised) {
            self.ensure(object).await?;
        }
        self.keep(&defaults::objects(), defaults::reconciled).await?;
        self.keep(&own_objects(), |_, _| None).await?;
        self.renew_leases().await
    }

    /// Adds the objects that are missing, in one write; `reconciled` says what has to happen to one that is there. What is to
    /// be replaced is missing once it has been removed.
    async fn keep(&self, objects: &[Value], reconciled: Reconciled) -> Result<(), Error> {
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.cache().snapshot();
            let steps = objects.iter().map(|object| self.keeping_step(&snapshot, object, reconciled));
            let steps: Vec<Step> = steps.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
            if steps.is_empty() {
                return Ok(());
            }
            let done = steps.iter().all(|step| !step.removes);
            match self.commit(Vec::new(), steps).await {
                Ok(_) if done => return Ok(()),
                Ok(_) => {}
                Err(Failure::Moved(..)) => self.cache().wait_for(snapshot.revision() + 1).await,
                Err(other) => return Err(other.into_error()),
            }
        }
        Err(Error::new(Reason::Conflict, "the cluster's own objects are being changed by somebody else"))
    }

    fn keeping_step(
        &self,
        snapshot: &Snapshot,
        object: &Value,
        reconciled: Reconciled,
    ) -> Result<Option<Step>, Error> {
        let (kind, key) = key_of(object)?;
        let Some(existing) = snapshot.get(&key) else { return self.ensuring_step(snapshot, object) };
        match reconciled(&existing.value(), object) {
            None => Ok(None),
            Some(Mend::Change(wanted)) => self.ensuring_step(snapshot, &wanted),
            Some(Mend::Replace) => {
                let (before, object) = (Some(existing.clone()), existing.value());
                Ok(Some(Step { kind, key, before, part: None, object, removes: true, warnings: Vec::new() }))
            }
        }
    }

    /// Publishes the certificate (PEM) that clients of the API trust; a controller copies it into every namespace.
    pub async fn publish_root_ca(&self, ca_pem: &str) -> Result<(), Error> {
        self.ensure(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": ca_pem},
            "metadata": {"name": ROOT_CA, "namespace": SYSTEM},
        }))
        .await
    }

    /// The Service `default/kubernetes` and where it leads.
    fn kubernetes_service(&self, advertised: &Advertised) -> [Value; 3] {
        let (address, port) = (advertised.address.ip().to_string(), advertised.address.port());
        let family = if advertised.address.is_ipv4() { "IPv4" } else { "IPv6" };
        let virtual_address = self.0.options.ranges.first_address().to_string();
        let labels = json!({"component": "apiserver", "provider": "kubernetes"});
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": labels},
            "spec": {"clusterIP": virtual_address, "clusterIPs": [virtual_address], "type": "ClusterIP",
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": port}]},
        });
        let endpoints = json!({
            "apiVersion": "v1", "kind": "Endpoints",
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {SKIP_MIRROR: "true"}},
            "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "kubernetes", "namespace": "default",
                "labels": {SERVICE_LABEL: "kubernetes"}},
            "addressType": family, "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        });
        [service, endpoints, slice]
    }

    /// After a start every node's age begins anew: nobody is dead because the server was away.
    async fn renew_leases(&self) -> Result<(), Error> {
        let snapshot = self.cache().snapshot();
        for node in snapshot.list("nodes", None) {
            let owner =
                json!({"apiVersion": "v1", "kind": "Node", "name": node.name(), "uid": &*node.header.uid});
            let lease = json!({
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": {"name": node.name(), "namespace": NODE_LEASES, "ownerReferences": [owner]},
                "spec": {"holderIdentity": node.name(), "leaseDurationSeconds": LEASE_SECONDS},
            });
            self.ensure(lease).await?;
        }
        Ok(())
    }

    /// Creates the object, or makes the fields that are given so if it is there and differs in them.
    async fn ensure(&self, object: Value) -> Result<(), Error> {
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.cache().snapshot();
            let Some(step) = self.ensuring_step(&snapshot, &object)? else { return Ok(()) };
            match self.commit(Vec::new(), vec![step]).await {
                Ok(_) => return Ok(()),
                Err(Failure::Moved(..) | Failure::Rule(_)) => {
                    self.cache().wait_for(snapshot.revision() + 1).await;
                }
                Err(other) => return Err(other.into_error()),
            }
        }
        Err(Error::new(Reason::Conflict, "the cluster's own objects are being changed by somebody else"))
    }

    fn ensuring_step(&self, snapshot: &Snapshot, object: &Value) -> Result<Option<Step>, Error> {
        let (kind, key) = key_of(object)?;
        let (moment, api_version) = (self.moment(snapshot), kind.api_version());
        let now = moment.stamp.now;
        let operation = strategy::operation(&kind, "kube-apiserver", &api_version, "", now);
        let mut next = match snapshot.get(&key) {
            Some(before) => merged(&before.value(), object),
            None => object.clone(),
        };
        kind.complete(&mut next)?;
        let Some(before) = snapshot.get(&key) else {
            return prepare::create(&moment, &kind, next, Some(&operation)).map(Some);
        };
        if next == before.value() {
            return Ok(None);
        }
        prepare::update(&moment, &kind, Endpoint::Main, before, next, Some(&operation)).map(Some)
    }
}

fn key_of(object: &Value) -> Result<(Served, Key), Error> {
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_string();
    let kind = kinds::of_object(&text(&object["apiVersion"]), &text(&object["kind"]))
        .map(Served::Row)
        .ok_or_else(|| Error::internal("a kind that every cluster has is not served"))?;
    let metadata = &object["metadata"];
    let key = Key::new(&kind.resource(), &text(&metadata["namespace"]), &text(&metadata["name"]));
    Ok((kind, key))
}

/// `old` with the fields that `wanted` names: objects field by field, anything else as a whole.
fn merged(old: &Value, wanted: &Value) -> Value {
    let (Some(old_fields), Some(fields)) = (old.as_object(), wanted.as_object()) else {
        return wanted.clone();
    };
    let mut next = old_fields.clone();
    for (name, value) in fields {
        let value = old_fields.get(name).map_or_else(|| value.clone(), |before| merged(before, value));
        next.insert(name.clone(), value);
    }
    Value::Object(next)
}

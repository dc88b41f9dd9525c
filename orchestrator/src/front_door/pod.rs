//! What is done to pods besides writing them: binding to a node, and eviction.

use super::decode;
use super::request::{Body, DeleteOptions, Shown, Target, WriteOptions, Written};
use super::write::Made;
use super::{FrontDoor, MAX_ATTEMPTS, existing, too_busy};
use crate::cache::Guard;
use peapod_api::error::Reason;
use peapod_api::{Error, Object, Subresource, kinds, meta};
use peapod_core::action::Action;
use peapod_core::auth::User;
use peapod_core::disruption::{self, Cost};
use peapod_core::served::Served;
use peapod_core::strategy::Endpoint;
use serde_json::{Value, json};

/// `pod` bound to `node`. Errors: 409 if it is bound or being deleted.
pub(super) fn bound(pod: &Object, node: &str, now: jiff::Timestamp) -> Result<Value, Error> {
    let refuse = |why: String| Err(Error::conflict("pods/binding", pod.name(), &why));
    if pod.header.deleted.is_some() {
        return refuse(format!("pod {} is being deleted, cannot be assigned to a host", pod.name()));
    }
    if let Some(other) = &pod.header.node {
        return refuse(format!("pod {} is already assigned to node {other:?}", pod.name()));
    }
    let mut value = pod.value();
    value["spec"]["nodeName"] = node.into();
    let mut conditions = value["status"]["conditions"].as_array().cloned().unwrap_or_default();
    meta::set_condition(&mut conditions, json!({"type": "PodScheduled", "status": "True"}), now);
    value["status"]["conditions"] = conditions.into();
    Ok(value)
}

/// The `Binding` that a bound pod comes of.
pub(super) fn binding(pod: &Value) -> Value {
    let metadata = json!({"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]});
    let target = json!({"kind": "Node", "name": pod["spec"]["nodeName"]});
    json!({"kind": "Binding", "apiVersion": "v1", "metadata": metadata, "target": target})
}

fn success() -> Written {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Written { created: true, ..Written::ok(Shown::Value(status)) }
}

impl FrontDoor {
    /// POST of a `Binding` below its pod, or by itself, when it names the pod.
    pub(crate) async fn bind(
        &self,
        user: &User,
        target: Target,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        self.admit_user(&self.cache().snapshot(), user, "create", &target)?;
        let (mut binding, mut warnings) =
            decode::other("v1", "Binding", decode::read(&body)?, options.field_validation)?;
        let target = match target.subresource {
            Some(_) => target,
            None => {
                let kind = kinds::of_resource("pods").map(Served::Row).unwrap_or(target.kind);
                let name = binding["metadata"]["name"].as_str().unwrap_or_default().into();
                Target { kind, name, subresource: Some(Subresource::Binding), ..target }
            }
        };
        if target.name.is_empty() {
            return Err(Error::bad_request("name must be provided"));
        }
        names_the_pod(&target, &binding)?;
        binding["metadata"]["name"] = target.name.as_str().into();
        binding["metadata"]["namespace"] = target.namespace.as_str().into();
        warnings.extend(self.admit_part(user, &target, &mut binding, &options).await?);
        let node = binding["target"]["name"].as_str().unwrap_or_default();
        if node.is_empty() || !matches!(binding["target"]["kind"].as_str(), None | Some("" | "Node")) {
            return Err(Error::bad_request("the target of a Binding must be a Node with a name"));
        }
        let uid = binding["metadata"]["uid"].as_str().unwrap_or_default();
        self.assign(user, &target, uid, node, &options).await?;
        Ok(Written { warnings, ..success() })
    }

    async fn assign(
        &self,
        user: &User,
        target: &Target,
        uid: &str,
        node: &str,
        options: &WriteOptions,
    ) -> Result<(), Error> {
        let whole = Target { subresource: None, ..target.clone() };
        let change = |pod: &Object| {
            if !uid.is_empty() && uid != &*pod.header.uid {
                let found = &pod.header.uid;
                return Err(Error::precondition("pods/binding", pod.name(), "UID", uid, found));
            }
            let object = bound(pod, node, self.now())?;
            Ok(Made { object, warnings: Vec::new(), recorded: false })
        };
        self.change(user, &whole, Endpoint::Binding, options, change).await.map(|_| ())
    }

    /// POST of an `Eviction`: a deletion, if the pod's disruption budget allows it. Errors: 429 if it does not.
    pub(super) async fn evict(
        &self,
        user: &User,
        target: Target,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        self.admit_user(&self.cache().snapshot(), user, "create", &target)?;
        let decoded = decode::read(&body)?;
        let (mut eviction, mut warnings) =
            decode::other("policy/v1", "Eviction", decoded, options.field_validation)?;
        names_the_pod(&target, &eviction)?;
        warnings.extend(self.admit_part(user, &target, &mut eviction, &options).await?);
        let mut deletion = DeleteOptions::read(&eviction["deleteOptions"])?;
        deletion.dry_run |= options.dry_run;
        let pod = Target { subresource: None, ..target };
        self.spend_budget(&pod, deletion.dry_run).await?;
        self.remove(None, &pod, &deletion).await?;
        Ok(Written { warnings, ..success() })
    }

    /// Writes down in the pod's disruption budget that it goes. Whoever is too late asks the budget as it is by then.
    async fn spend_budget(&self, pod: &Target, dry_run: bool) -> Result<(), Error> {
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.cache().snapshot();
            let found = existing(&snapshot, pod)?;
            let (key, revision, status) = match disruption::evict(&snapshot, &found, self.now())? {
                Cost::Nothing => return Ok(()),
                Cost::Disruption { .. } if dry_run => return Ok(()),
                Cost::Disruption { key, revision, status } => (key, revision, status),
            };
            let guard = Guard::Revision { key: key.clone(), revision };
            match self.act(DISRUPTION, vec![guard], vec![Action::SetStatus { key, status }]).await {
                Err(error) if error.reason() == Reason::Conflict => {
                    self.cache().wait_for(snapshot.revision() + 1).await;
                }
                other => return other,
            }
        }
        Err(too_busy(&pod.key()))
    }
}

/// Who keeps the budgets.
const DISRUPTION: &str = "system:serviceaccount:kube-system:disruption-controller";

/// The body must speak of the pod that the path names.
fn names_the_pod(target: &Target, body: &Value) -> Result<(), Error> {
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    if !name.is_empty() && name != target.name {
        let kind = body["kind"].as_str().unwrap_or_default();
        return Err(Error::bad_request(format!("name in URL does not match name in {kind} object")));
    }
    Ok(())
}

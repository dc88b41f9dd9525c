//! What controllers and the scheduler ask for. Actions enter by the front door like any other write.

use crate::auth::account::Claims;
use peapod_api::{Key, Object};
use serde_json::Value;
use std::time::Duration;

/// How the dependents of a deleted object fare. Kubernetes' `propagationPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They are kept and lose the reference.
    Orphan,
}

/// Finalizer that holds an object until its dependents are gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer that holds an object until its dependents no longer name it.
pub const ORPHAN: &str = "orphan";

/// One requested write.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create `object`, complete with apiVersion, kind and metadata.
    Create {
        /// The object.
        object: Value,
    },
    /// Replace `status`; nothing else of the object changes.
    SetStatus {
        /// Which object.
        key: Key,
        /// The new status.
        status: Value,
    },
    /// Replace the conditions that approve or deny a certificate signing request.
    Decide {
        /// Which request.
        key: Key,
        /// The status with the new conditions.
        status: Value,
    },
    /// Apply an RFC 7386 merge patch to the object (not to its status).
    Patch {
        /// Which object.
        key: Key,
        /// The merge patch.
        patch: Value,
    },
    /// Delete, if the object still has this uid.
    Delete {
        /// Which object.
        key: Key,
        /// Its uid when the decision was taken.
        uid: String,
        /// What happens to dependents; none: the kind's default.
        propagation: Option<Propagation>,
        /// Grace for pods, in seconds; none: the pod's own. 0 removes the object at once.
        grace_seconds: Option<u64>,
    },
    /// Bind a pod to a node.
    Bind {
        /// The pod.
        key: Key,
        /// The pod's uid when the decision was taken.
        uid: String,
        /// The node's name.
        node: String,
    },
    /// Have an approved certificate signing request signed: an effect, which the driver runs and whose result it writes
    /// into the request's status.
    Sign {
        /// Which request.
        key: Key,
        /// The request, PEM.
        request_pem: String,
        /// The uses of the certificate, as Kubernetes names them.
        usages: Vec<String>,
        /// How long it is wanted; none: as long as the authority usually gives.
        lifetime_seconds: Option<u64>,
        /// The request's status, to which the certificate is added.
        status: Value,
    },
    /// Have a token of a service account made and written into a Secret: an effect, as [`Action::Sign`].
    MintToken {
        /// Which Secret.
        key: Key,
        /// What the token says.
        claims: Box<Claims>,
        /// What else of the Secret changes, as a merge patch; the token is added to its `data`.
        patch: Value,
    },
    /// Report something about an object. Repetitions are counted, not repeated; an Event is never worth failing a write for.
    Event {
        /// What it is about.
        regarding: Key,
        /// `Normal` or `Warning`.
        type_: &'static str,
        /// CamelCase.
        reason: String,
        /// For people.
        message: String,
    },
}

impl Action {
    /// The deletion of `object` in the way that its kind's are deleted.
    pub fn delete(object: &Object) -> Action {
        let (key, uid) = (object.key.clone(), object.header.uid.to_string());
        Action::Delete { key, uid, propagation: None, grace_seconds: None }
    }
}

/// What a reconciliation asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Written together, guarded by "nothing under the reconciled object has changed since".
    pub actions: Vec<Action>,
    /// Reconcile again after this time even if nothing changes.
    pub again_after: Option<Duration>,
}

impl Outcome {
    /// Nothing to do.
    pub fn nothing() -> Outcome {
        Outcome::default()
    }

    /// Nothing to do for now.
    pub fn again_after(time: Duration) -> Outcome {
        Outcome { actions: Vec::new(), again_after: Some(time) }
    }
}

impl From<Vec<Action>> for Outcome {
    fn from(actions: Vec<Action>) -> Outcome {
        Outcome { actions, again_after: None }
    }
}

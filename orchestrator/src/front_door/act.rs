//! What controllers and the scheduler ask for: all of it in one guarded request.

use super::commit::Failure;
use super::prepare::{self, Moment, Step};
use super::steps::owner_of;
use super::{FrontDoor, MAX_ATTEMPTS, pod};
use crate::cache::Guard;
use jiff::Timestamp;
use peapod_api::error::Reason;
use peapod_api::{Error, Key, Kind, Object};
use peapod_core::action::{Action, Propagation};
use peapod_core::controllers;
use peapod_core::patch::merge;
use peapod_core::quota;
use peapod_core::served::{Kinds, Served};
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy::deletion::Wish;
use peapod_core::strategy::{self, Endpoint};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

impl FrontDoor {
    /// Does all of `actions` or none, if `guards` hold; events are written besides and fail nothing: one belongs to the
    /// action that follows it. If a dependent may not be created, those before it are, which is told in an event about their
    /// owner. An object that another write has changed meanwhile is read again, as long as the guards hold. Errors: Conflict if
    /// a guard does not hold, or if a pod to be bound is not free; otherwise what speaks against an action.
    pub async fn act(&self, user: &str, guards: Vec<Guard>, actions: Vec<Action>) -> Result<(), Error> {
        // Before others can see what is done, and tell of what they do about it.
        let told = actions.iter().filter(|action| matches!(action, Action::Event { .. }));
        let moments: Vec<_> = told.map(|_| self.event_moment()).collect();
        let Done { events, refused } = self.act_once_or_again(user, guards, &actions).await?;
        if let Some(refused) = &refused {
            self.note_failure(user, refused).await;
        }
        let mut events: Vec<_> =
            moments.into_iter().zip(events.into_iter().map(|(_, event)| event)).collect();
        events.extend(refused.as_ref().map(|refused| (self.event_moment(), refused.event())));
        self.record_all(user, events).await;
        refused.map_or(Ok(()), |refused| Err(refused.why))
    }

    /// Notes in the owner's status that it may not create what it needs, where its kind has a place for that. If another
    /// write of the owner comes first its controller looks again anyway.
    async fn note_failure(&self, user: &str, refused: &Refused) {
        let snapshot = self.cache().snapshot();
        let Some(owner) = snapshot.get(&refused.owner) else { return };
        let why = refused.why.to_string();
        let Some(status) = controllers::with_refusal(owner, &refused.name, &why, self.now()) else { return };
        let key = refused.owner.clone();
        let guard = Guard::Revision { key: key.clone(), revision: owner.revision };
        if let Err(error) =
            self.act_once_or_again(user, vec![guard], &[Action::SetStatus { key, status }]).await
        {
            tracing::debug!(owner = %refused.owner, %error, "a failure was not noted");
        }
    }

    async fn act_once_or_again(
        &self,
        user: &str,
        guards: Vec<Guard>,
        actions: &[Action],
    ) -> Result<Done, Error> {
        let mut newer = BTreeMap::new();
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.cache().snapshot();
            let mut plan = Plan::new(self, &snapshot, manager(user), &newer);
            actions.iter().try_for_each(|action| plan.add(action))?;
            let (steps, mut done) = plan.end();
            let steps = self.admitted(user, &snapshot, steps, &mut done).await?;
            if steps.is_empty() {
                return Ok(done);
            }
            match self.commit(guards.clone(), steps).await {
                Ok(_) => return Ok(done),
                Err(Failure::Moved(key, current)) => {
                    newer.insert(key, current);
                }
                Err(Failure::Rule(_)) => self.cache().wait_for(snapshot.revision() + 1).await,
                Err(other) => return Err(other.into_error()),
            }
        }
        Err(Error::new(Reason::Conflict, "too many others write the same objects"))
    }
}

/// Whom managed fields name: Kubernetes' own names, which clients know.
pub(super) fn manager(user: &str) -> &'static str {
    if user.contains("scheduler") { "kube-scheduler" } else { "kube-controller-manager" }
}

/// The steps so far. Several actions on one object become one step.
struct Plan<'a> {
    door: &'a FrontDoor,
    moment: Moment<'a>,
    manager: &'static str,
    /// What stood in the way of an earlier attempt, where the snapshot is older still.
    newer: &'a BTreeMap<Key, Option<Arc<Object>>>,
    steps: Vec<Step>,
    /// With what the steps will use.
    quotas: quota::Index,
    done: Done,
    /// Events of the action that comes next.
    announced: Vec<Action>,
}

/// What a list of actions leads to besides writes.
#[derive(Default)]
pub(super) struct Done {
    /// Each with what is created together with it.
    events: Vec<(Option<Key>, Action)>,
    pub(super) refused: Option<Refused>,
}

impl Done {
    fn tell(&mut self, created: Option<Key>, events: impl Iterator<Item = Action>) {
        self.events.extend(events.map(|event| (created.clone(), event)));
    }

    /// The object of that key is not created.
    pub(super) fn forget(&mut self, created: &Key) {
        self.events.retain(|(key, _)| key.as_ref() != Some(created));
    }
}

/// A dependent that may not be created.
pub(super) struct Refused {
    pub(super) owner: Key,
    /// Its name.
    pub(super) name: String,
    pub(super) why: Error,
}

impl Refused {
    fn event(&self) -> Action {
        let (reason, message) = controllers::refusal(&self.owner, &self.name, &self.why.to_string());
        Action::Event { regarding: self.owner.clone(), type_: "Warning", reason: reason.into(), message }
    }
}

impl<'a> Plan<'a> {
    fn new(
        door: &'a FrontDoor,
        snapshot: &'a Snapshot,
        manager: &'static str,
        newer: &'a BTreeMap<Key, Option<Arc<Object>>>,
    ) -> Plan<'a> {
        let (moment, quotas) = (door.moment(snapshot), snapshot.quotas().clone());
        let (steps, done, announced) = (Vec::new(), Done::default(), Vec::new());
        Plan { door, moment, manager, newer, steps, quotas, done, announced }
    }

    fn end(mut self) -> (Vec<Step>, Done) {
        self.done.tell(None, self.announced.drain(..));
        (self.steps, self.done)
    }

    fn add(&mut self, action: &Action) -> Result<(), Error> {
        match action {
            Action::Event { .. } => {
                self.announced.push(action.clone());
                return Ok(());
            }
            Action::Create { object } => match self.creates(object)? {
                true => {
                    let created = self.steps.last().map(|step| step.key.clone());
                    self.done.tell(created, self.announced.drain(..));
                }
                false => self.announced.clear(),
            },
            _ => self.write(action)?,
        }
        self.done.tell(None, self.announced.drain(..));
        Ok(())
    }

    /// Plans a creation. Says no if it, or one before it, is refused to an owner.
    fn creates(&mut self, object: &Value) -> Result<bool, Error> {
        if self.done.refused.is_some() {
            return Ok(false);
        }
        match (self.create(object), owner_of(self.kinds(), object)) {
            (Err(why), Some(owner)) if is_refusal(&why) => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default().into();
                self.done.refused = Some(Refused { owner, name, why });
                Ok(false)
            }
            (created, _) => created.map(|()| true),
        }
    }

    fn write(&mut self, action: &Action) -> Result<(), Error> {
        match action {
            Action::SetStatus { key, status } => {
                self.change(key, Endpoint::Status, |object| Ok(with_status(object, status)))
            }
            Action::Decide { key, status } => {
                self.change(key, Endpoint::Approval, |object| Ok(with_status(object, status)))
            }
            Action::Patch { key, patch } => {
                self.change(key, Endpoint::System, |object| merge::apply(object, patch))
            }
            Action::Bind { key, uid, node } => self.bind(key, uid, node),
            Action::Delete { key, uid, propagation, grace_seconds } => {
                self.delete(key, uid, *propagation, *grace_seconds)
            }
            // Effects have been run before: what they made is among the other actions.
            Action::Create { .. } | Action::Event { .. } | Action::Sign { .. } | Action::MintToken { .. } => {
                Ok(())
            }
        }
    }

    fn kinds(&self) -> &Kinds {
        self.moment.snapshot.kinds()
    }

    fn kind_of(&self, key: &Key) -> Result<Served, Error> {
        self.kinds().of_resource(key.resource()).ok_or_else(|| {
            Error::internal(format!("an action concerns {} which are not served", key.resource()))
        })
    }

    fn now(&self) -> Timestamp {
        self.moment.stamp.now
    }

    /// The object as the store has it, as far as is known.
    fn stored(&self, key: &Key) -> Option<Arc<Object>> {
        let published = self.moment.snapshot.get(key);
        match self.newer.get(key) {
            Some(Some(newer)) if published.is_none_or(|object| object.revision < newer.revision) => {
                Some(newer.clone())
            }
            _ => published.cloned(),
        }
    }

    fn create(&mut self, object: &Value) -> Result<(), Error> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let kind = self.kinds().of_object(text("apiVersion"), text("kind")).ok_or_else(|| {
            Error::internal(format!("an action creates a {} that is not served", text("kind")))
        })?;
        let mut object = object.clone();
        kind.complete(&mut object)?;
        let api_version = kind.api_version();
        let operation = strategy::operation(&kind, self.manager, &api_version, "", self.now());
        let step = prepare::create(&self.moment, &kind, object, Some(&operation))?;
        self.quotas.admit(&kind, &step.object, None)?;
        if self.newer.get(&step.key).is_some_and(Option::is_some) {
            return Err(Error::already_exists(&kind.resource(), step.key.name()));
        }
        self.quotas.reserve(&kind, &step.object, None);
        // Each object has a uid and a seed of its own.
        self.moment.stamp = self.door.moment(self.moment.snapshot).stamp;
        self.steps.push(step);
        Ok(())
    }

    fn change(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        change: impl Fn(&Value) -> Result<Value, Error>,
    ) -> Result<(), Error> {
        let kind = self.kind_of(key)?;
        let at = self.steps.iter().position(|step| step.key == *key && !step.removes);
        let pending = at.map(|index| self.steps.remove(index));
        let stored = self.stored(key);
        let before = pending.as_ref().and_then(|step| step.before.clone()).or(stored);
        let Some(before) = before else { return Err(Error::not_found(key.resource(), key.name())) };
        // An earlier action of the same list is built upon, not lost.
        let base = match &pending {
            Some(step) => as_object(&kind, &before, &step.object),
            None => before.clone(),
        };
        let mut object = change(&base.value())?;
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        kind.complete(&mut object)?;
        let api_version = kind.api_version();
        let part = match endpoint {
            Endpoint::Status => "status",
            Endpoint::Approval => "approval",
            Endpoint::Main | Endpoint::System | Endpoint::Binding => "",
        };
        let operation = strategy::operation(&kind, self.manager, &api_version, part, self.now());
        let step = prepare::update(&self.moment, &kind, endpoint, &base, object, Some(&operation))?;
        // Both halves at once are one write of the object.
        let part = step.part.filter(|part| pending.is_none_or(|step| step.part == Some(*part)));
        self.steps.push(Step { before: Some(before), part, ..step });
        Ok(())
    }

    fn bind(&mut self, key: &Key, uid: &str, node: &str) -> Result<(), Error> {
        let refuse = |why: &str| Err(Error::conflict("pods/binding", key.name(), why));
        let Some(found) = self.stored(key) else { return refuse("the pod is gone") };
        if *found.header.uid != *uid {
            return refuse("the pod is another one of the same name");
        }
        let bound = pod::bound(&found, node, self.now())?;
        self.change(key, Endpoint::Binding, |object| {
            let mut object = object.clone();
            object["spec"] = bound["spec"].clone();
            object["status"] = bound["status"].clone();
            Ok(object)
        })
    }

    /// What is gone, or is another object by now, needs no deletion.
    fn delete(
        &mut self,
        key: &Key,
        uid: &str,
        propagation: Option<Propagation>,
        grace_seconds: Option<u64>,
    ) -> Result<(), Error> {
        let kind = self.kind_of(key)?;
        let Some(before) = self.stored(key).filter(|object| *object.header.uid == *uid) else {
            return Ok(());
        };
        let grace_seconds = grace_seconds.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX));
        let wish = Wish { grace_seconds, propagation };
        if let Some(step) = prepare::delete(&kind, &before, wish, self.now()) {
            self.steps.retain(|step| step.key != *key);
            self.steps.push(step);
        }
        Ok(())
    }
}

fn with_status(object: &Value, status: &Value) -> Value {
    let mut object = object.clone();
    object["status"] = status.clone();
    object
}

/// Whether an owner is to be told of it: rules of the cluster speak against the object. That a namespace ends is no news.
fn is_refusal(error: &Error) -> bool {
    let ending = error.causes().iter().any(|cause| cause.reason == "NamespaceTerminating");
    matches!(error.reason(), Reason::Forbidden | Reason::Invalid) && !ending
}

/// `value` as if it were committed at the revision of `before`.
fn as_object(kind: &Kind, before: &Object, value: &Value) -> Arc<Object> {
    Arc::new(peapod_api::Draft::new(kind, before.key.clone(), value.clone()).at(before.revision))
}

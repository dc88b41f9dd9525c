//! What controllers and the scheduler ask for: all of it in one guarded request.

use super::admit::{Asked, Given};
use super::commit::Failure;
use super::prepare::{self, Moment, Step};
use super::request::{DeleteOptions, Target, WriteOptions};
use super::{FrontDoor, MAX_ATTEMPTS, pod};
use crate::cache::Guard;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use peapod_api::error::Reason;
use peapod_api::{Error, Key, Kind, Object, Subresource};
use peapod_core::action::{Action, Propagation};
use peapod_core::auth::{User, account};
use peapod_core::patch::{Operation, merge};
use peapod_core::quota;
use peapod_core::served::{Kinds, Served};
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy::Endpoint;
use peapod_core::strategy::deletion::{self, Deletion, Wish};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps of one request about which webhooks are asked at a time.
const ASKED_AT_A_TIME: usize = 16;

impl FrontDoor {
    /// Does all of `actions` or none, if `guards` hold; events are written besides and fail nothing: one belongs to the
    /// action that follows it. If a dependent may not be created, those before it are, which is told in an event about their
    /// owner. An object that another write has changed meanwhile is read again, as long as the guards hold. Errors: Conflict if
    /// a guard does not hold, or if a pod to be bound is not free; otherwise what speaks against an action.
    pub async fn act(&self, user: &str, guards: Vec<Guard>, actions: Vec<Action>) -> Result<(), Error> {
        let Done { events, refused } = self.act_once_or_again(user, guards, &actions).await?;
        let mut events: Vec<Action> = events.into_iter().map(|(_, event)| event).collect();
        events.extend(refused.as_ref().map(Refused::event));
        self.record_all(user, events).await;
        refused.map_or(Ok(()), |refused| Err(refused.why))
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

impl FrontDoor {
    /// Asks policies and webhooks about each step, as if it were a request of its own. What is created they may change. After
    /// a dependent that is refused no other one is created.
    async fn admitted(
        &self,
        user: &str,
        snapshot: &Snapshot,
        steps: Vec<Step>,
        done: &mut Done,
    ) -> Result<Vec<Step>, Error> {
        if steps.iter().all(|step| FrontDoor::admits_all(snapshot, &step.kind)) {
            return Ok(steps);
        }
        let (writer, manager) = (account::user_of(user), manager(user));
        let options = WriteOptions { field_manager: manager.into(), ..WriteOptions::default() };
        let created = |step: &Step| {
            step.before.is_none().then(|| (step.key.clone(), owner_of(snapshot.kinds(), &step.object)))
        };
        let ask = |step: Step| {
            let created = created(&step);
            self.admitted_step(&writer, step, &options).map(|admitted| (created, admitted)).boxed()
        };
        let asked: Vec<BoxFuture<'_, _>> = steps.into_iter().map(ask).collect();
        let mut answers = stream::iter(asked).buffered(ASKED_AT_A_TIME);
        let (mut kept, mut refused) = (Vec::new(), None);
        while let Some((created, admitted)) = answers.next().await {
            match (admitted, created) {
                (Ok(_), Some((key, _))) if refused.is_some() => done.forget(&key),
                (Ok(step), _) => kept.push(step),
                (Err(why), Some((key, Some(owner)))) => {
                    done.forget(&key);
                    refused = refused.or(Some(Refused { owner, why }));
                }
                (Err(why), _) => return Err(why),
            }
        }
        done.refused = refused.or(done.refused.take());
        Ok(kept)
    }

    async fn admitted_step(&self, user: &User, step: Step, options: &WriteOptions) -> Result<Step, Error> {
        let target = Target {
            kind: step.kind.clone(),
            namespace: step.key.namespace().into(),
            name: step.key.name().into(),
            subresource: step.part,
        };
        let asked = |given| Asked::new(user, &target, given);
        let Some(before) = &step.before else {
            let (asked, mut object) = (asked(Given::Create(options)), step.object.clone());
            self.mutate(&asked, &mut object, None).await?;
            let step = if object == step.object { step } else { self.created_again(&step, object, options)? };
            self.judge(&asked, Some(&step.object), None).await?;
            return Ok(step);
        };
        if is_deletion(&step, &before.value()) {
            let deletion = DeleteOptions::default();
            self.judge_deletion(&asked(Given::Delete(&deletion)), before).await?;
        } else if step.part == Some(Subresource::Binding) {
            let binding = pod::binding(&step.object);
            self.judge(&asked(Given::Create(options)), Some(&binding), None).await?;
        } else {
            self.judge(&asked(Given::Update(options)), Some(&step.object), Some(before)).await?;
        }
        Ok(step)
    }

    /// The same creation of what the object has become.
    fn created_again(&self, step: &Step, object: Value, options: &WriteOptions) -> Result<Step, Error> {
        let (snapshot, api_version) = (self.cache().snapshot(), step.kind.api_version());
        let moment = self.moment(&snapshot);
        let operation = Operation {
            manager: &options.field_manager,
            api_version: &api_version,
            subresource: "",
            status_apart: step.kind.has(Subresource::Status),
            now: moment.stamp.now,
        };
        prepare::create(&moment, &step.kind, object, Some(&operation))
    }
}

/// Whether the step comes of a request to delete, and not of a change that lets an object under deletion go.
fn is_deletion(step: &Step, before: &Value) -> bool {
    let is_marked = |object: &Value| object["metadata"]["deletionTimestamp"].is_string();
    let begins = (step.removes || is_marked(&step.object)) && !is_marked(before);
    begins || step.removes && step.object == *before
}

/// Whom managed fields name: Kubernetes' own names, which clients know.
fn manager(user: &str) -> &'static str {
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
struct Done {
    /// Each with what is created together with it.
    events: Vec<(Option<Key>, Action)>,
    refused: Option<Refused>,
}

impl Done {
    fn tell(&mut self, created: Option<Key>, events: impl Iterator<Item = Action>) {
        self.events.extend(events.map(|event| (created.clone(), event)));
    }

    /// The object of that key is not created.
    fn forget(&mut self, created: &Key) {
        self.events.retain(|(key, _)| key.as_ref() != Some(created));
    }
}

/// A dependent that may not be created.
struct Refused {
    owner: Key,
    why: Error,
}

impl Refused {
    fn event(&self) -> Action {
        Action::Event {
            regarding: self.owner.clone(),
            type_: "Warning",
            reason: "FailedCreate".into(),
            message: format!("Error creating: {}", self.why),
        }
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
                self.done.refused = Some(Refused { owner, why });
                Ok(false)
            }
            (created, _) => created.map(|()| true),
        }
    }

    fn write(&mut self, action: &Action) -> Result<(), Error> {
        match action {
            Action::SetStatus { key, status } => self.change(key, Endpoint::Status, |object| {
                let mut object = object.clone();
                object["status"] = status.clone();
                Ok(object)
            }),
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
        let operation = self.operation(&kind, &api_version, "");
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

    fn operation<'o>(&self, kind: &Kind, api_version: &'o str, subresource: &'o str) -> Operation<'o> {
        let (manager, status_apart) = (self.manager, kind.has(Subresource::Status));
        Operation { manager, api_version, subresource, status_apart, now: self.now() }
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
        let part = if endpoint == Endpoint::Status { "status" } else { "" };
        let operation = self.operation(&kind, &api_version, part);
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
        let value = before.value();
        let (object, removes) =
            match deletion::delete(&kind, &value, Wish { grace_seconds, propagation }, self.now()) {
                Deletion::Pending => return Ok(()),
                Deletion::Mark(marked) => (marked, false),
                Deletion::Remove => (value, true),
            };
        self.steps.retain(|step| step.key != *key);
        let key = key.clone();
        self.steps.push(Step {
            kind,
            key,
            before: Some(before),
            part: None,
            object,
            removes,
            warnings: Vec::new(),
        });
        Ok(())
    }
}

/// The controller of a new object.
fn owner_of(kinds: &Kinds, object: &Value) -> Option<Key> {
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_string();
    let kind = kinds.of_object(&text(&owner["apiVersion"]), &text(&owner["kind"]))?;
    let namespace = if kind.namespaced() { text(&metadata["namespace"]) } else { String::new() };
    Some(Key::new(&kind.stored_resource(), &namespace, &text(&owner["name"])))
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

//! What controllers ask for before policies and webhooks: each step as if it were a request of its own.

use super::FrontDoor;
use super::act::{Done, Refused, manager};
use super::admit::{Asked, Given};
use super::pod;
use super::prepare::{self, Step};
use super::request::{DeleteOptions, Target, WriteOptions};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use peapod_api::{Error, Key, Subresource};
use peapod_core::auth::{User, account};
use peapod_core::served::Kinds;
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy;
use serde_json::Value;

/// Steps of one request about which webhooks are asked at a time.
const ASKED_AT_A_TIME: usize = 16;

impl FrontDoor {
    /// Asks policies and webhooks about each step, as if it were a request of its own. What is created they may change. After
    /// a dependent that is refused no other one is created.
    pub(super) async fn admitted(
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
                    refused = refused.or(Some(Refused { owner, name: key.name().into(), why }));
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
        let (manager, now) = (&options.field_manager, moment.stamp.now);
        let operation = strategy::operation(&step.kind, manager, &api_version, "", now);
        prepare::create(&moment, &step.kind, object, Some(&operation))
    }
}

/// Whether the step comes of a request to delete, and not of a change that lets an object under deletion go.
fn is_deletion(step: &Step, before: &Value) -> bool {
    let is_marked = |object: &Value| object["metadata"]["deletionTimestamp"].is_string();
    let begins = (step.removes || is_marked(&step.object)) && !is_marked(before);
    begins || step.removes && step.object == *before
}

/// The controller of a new object.
pub(super) fn owner_of(kinds: &Kinds, object: &Value) -> Option<Key> {
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"].as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_string();
    let kind = kinds.of_object(&text(&owner["apiVersion"]), &text(&owner["kind"]))?;
    let namespace = if kind.namespaced() { text(&metadata["namespace"]) } else { String::new() };
    Some(Key::new(&kind.stored_resource(), &namespace, &text(&owner["name"])))
}

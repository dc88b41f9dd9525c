//! Writes before the admission policies and webhooks: what they change in one, and whether they let it pass. What they
//! decide is found out in core; here they are asked.

use super::FrontDoor;
use super::decode;
use super::request::{DeleteOptions, Target, WriteOptions};
use futures_util::future::join_all;
use peapod_api::{Error, Object, Subresource};
use peapod_core::admission;
use peapod_core::auth::User;
use peapod_core::policy::{self, Write};
use peapod_core::schema::decode::{Decoded, FieldValidation};
use peapod_core::served::Served;
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy::scale::{scale_of, with_scale};
use peapod_core::webhook::{Answer, Hook, Rounds};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::OnceLock;
use uuid::Uuid;

/// The options of a request, as it was made.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    Create(&'a WriteOptions),
    Update(&'a WriteOptions),
    Delete(&'a DeleteOptions),
}

/// A write that policies and webhooks are asked about. The target names the object, unless its name is generated.
pub(super) struct Asked<'a> {
    user: &'a User,
    target: &'a Target,
    given: Given<'a>,
    /// The options as an object of the API, made when somebody is to be asked.
    options: OnceLock<Value>,
}

/// What a webhook said of the object that it knows as this kind.
struct Said {
    kind: Served,
    answer: Answer,
}

impl<'a> Asked<'a> {
    pub(super) fn new(user: &'a User, target: &'a Target, given: Given<'a>) -> Asked<'a> {
        Asked { user, target, given, options: OnceLock::new() }
    }

    fn write<'w>(&'w self, new: Option<&'w Value>, old: Option<&'w Value>) -> Write<'w> {
        let Target { kind, namespace, name, subresource } = self.target;
        let named = || new.or(old).and_then(|object| object["metadata"]["name"].as_str());
        let name = if name.is_empty() { named().unwrap_or_default() } else { name };
        let options = self.options.get_or_init(|| self.given.as_object());
        let (user, dry_run) = (self.user, self.given.dry_run());
        Write { user, kind, part: *subresource, name, namespace, new, old, options, dry_run }
    }

    /// An object of the target as those who are asked see it.
    fn seen<'o>(&self, object: &'o Value) -> Cow<'o, Value> {
        match self.target.subresource {
            Some(Subresource::Scale) => Cow::Owned(scale_of(&self.target.kind, object)),
            _ => Cow::Borrowed(object),
        }
    }

    /// Makes of what the object is seen as, changed, the object that it stands for. Errors: it is none any more.
    fn complete(&self, seen: &mut Value) -> Result<(), Error> {
        use Subresource::{Binding, Eviction, Scale, Token};
        if matches!(self.target.subresource, Some(Scale | Binding | Eviction | Token)) {
            return Ok(());
        }
        let decoded = Decoded::from(seen.take());
        let (object, _) = decode::object(self.target, decoded, FieldValidation::Ignore)?;
        *seen = object;
        self.target.kind.complete(seen)
    }
}

impl FrontDoor {
    /// Whether nobody is to be asked about writes of `kind`: the ordinary case, which costs a look-up.
    pub(super) fn admits_all(snapshot: &Snapshot, kind: &Served) -> bool {
        let webhooks = snapshot.webhooks();
        snapshot.policies().is_empty()
            && webhooks.mutating(kind).is_empty()
            && webhooks.validating(kind).is_empty()
    }

    /// Lets policies, and then webhooks, change what a write shall make of `old`, or of nothing: then they see what the
    /// cluster itself adds. Returns the warnings. Errors: the object cannot be created here, a policy fails, a webhook
    /// fails or denies the write.
    pub(super) async fn mutate(
        &self,
        asked: &Asked<'_>,
        object: &mut Value,
        old: Option<&Object>,
    ) -> Result<Vec<String>, Error> {
        let snapshot = self.cache().snapshot();
        if FrontDoor::admits_all(&snapshot, &asked.target.kind) {
            return Ok(Vec::new());
        }
        if old.is_none() && asked.target.subresource.is_none() && asked.target.kind.stored() {
            admission::complete(&snapshot, &asked.target.kind, object, self.moment(&snapshot).stamp.seed)?;
        }
        let old = old.map(|old| asked.seen(&old.value()).into_owned());
        let before = asked.seen(object).into_owned();
        let mut seen = before.clone();
        if policy::mutate(&snapshot, &asked.write(None, old.as_ref()), &mut seen)? {
            asked.complete(&mut seen)?;
        }
        let warnings = self.ask_mutating(&snapshot, asked, Some(&mut seen), old.as_ref()).await?;
        if seen != before {
            match asked.target.subresource {
                Some(Subresource::Scale) => with_scale(&asked.target.kind, object, &seen),
                _ => *object = seen,
            }
        }
        Ok(warnings)
    }

    /// Asks policies, and then all webhooks at the same time, whether the write may be made. Returns the warnings. Errors: a
    /// policy or a webhook denies it, or a webhook fails.
    pub(super) async fn judge(
        &self,
        asked: &Asked<'_>,
        new: Option<&Value>,
        old: Option<&Object>,
    ) -> Result<Vec<String>, Error> {
        let snapshot = self.cache().snapshot();
        if FrontDoor::admits_all(&snapshot, &asked.target.kind) {
            return Ok(Vec::new());
        }
        let old = old.map(|old| asked.seen(&old.value()).into_owned());
        let new = new.map(|new| asked.seen(new));
        let write = asked.write(new.as_deref(), old.as_ref());
        let mut warnings = policy::judge(&snapshot, &write)?;
        let hooks = snapshot.webhooks().validating(&asked.target.kind);
        let answers = hooks.iter().map(|hook| self.ask(&snapshot, hook, &write, false));
        let mut denial = None;
        for answered in join_all(answers).await {
            match answered {
                Ok(None) => {}
                Ok(Some(Said { answer, .. })) => {
                    warnings.extend(answer.warnings);
                    denial = denial.or(answer.denial.map(|denial| denial.into_error()));
                }
                Err(error) => denial = denial.or(Some(error)),
            }
        }
        match denial {
            Some(error) => Err(error.warning(warnings)),
            None => Ok(warnings),
        }
    }

    /// As [`FrontDoor::mutate`] and [`FrontDoor::judge`] of a deletion, which nobody can change.
    pub(super) async fn judge_deletion(&self, asked: &Asked<'_>, old: &Object) -> Result<Vec<String>, Error> {
        let snapshot = self.cache().snapshot();
        let mut warnings = Vec::new();
        if !snapshot.webhooks().mutating(&asked.target.kind).is_empty() {
            warnings = self.ask_mutating(&snapshot, asked, None, Some(&old.value())).await?;
        }
        warnings.extend(self.judge(asked, None, Some(old)).await?);
        Ok(warnings)
    }

    /// Asks policies and webhooks about what is created and not kept: a Binding, an Eviction, a TokenRequest, a question
    /// about rights. Returns the warnings. Errors: as of [`FrontDoor::mutate`] and [`FrontDoor::judge`].
    pub(crate) async fn admit_part(
        &self,
        user: &User,
        target: &Target,
        object: &mut Value,
        options: &WriteOptions,
    ) -> Result<Vec<String>, Error> {
        let asked = Asked::new(user, target, Given::Create(options));
        let mut warnings = self.mutate(&asked, object, None).await?;
        warnings.extend(self.judge(&asked, Some(object), None).await?);
        Ok(warnings)
    }

    /// Asks the mutating webhooks one after the other, and a second time those that wish it.
    async fn ask_mutating(
        &self,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        mut seen: Option<&mut Value>,
        old: Option<&Value>,
    ) -> Result<Vec<String>, Error> {
        let hooks = snapshot.webhooks().mutating(&asked.target.kind);
        let (mut warnings, mut rounds, mut changed) = (Vec::new(), Rounds::default(), false);
        for (place, hook) in hooks.iter().enumerate() {
            let outcome =
                self.ask_one(snapshot, asked, hook, seen.as_deref_mut(), old, &mut warnings).await?;
            if outcome == Some(true) {
                rounds.changed();
                changed = true;
            }
            if outcome.is_some() && hook.is_reinvoked {
                rounds.asked(place);
            }
        }
        if let Some(seen) = seen.as_deref_mut().filter(|_| changed)
            && policy::mutate_again(snapshot, &asked.write(None, old), seen)?
        {
            asked.complete(seen)?;
            rounds.changed();
        }
        for place in rounds.again() {
            let seen = seen.as_deref_mut();
            self.ask_one(snapshot, asked, &hooks[place], seen, old, &mut warnings).await?;
        }
        Ok(warnings)
    }

    /// Asks one mutating webhook and makes its changes: whether there were any, none if it is not concerned or could not be
    /// asked and says that this is no matter.
    async fn ask_one(
        &self,
        snapshot: &Snapshot,
        asked: &Asked<'_>,
        hook: &Hook,
        seen: Option<&mut Value>,
        old: Option<&Value>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<bool>, Error> {
        let said = self.ask(snapshot, hook, &asked.write(seen.as_deref(), old), true).await;
        let said = said.map_err(|error| error.warning(std::mem::take(warnings)))?;
        let Some(Said { kind, answer }) = said else { return Ok(None) };
        warnings.extend(answer.warnings);
        if let Some(denial) = answer.denial {
            return Err(denial.into_error().warning(std::mem::take(warnings)));
        }
        if answer.patch.is_empty() {
            return Ok(Some(false));
        }
        let write = asked.write(seen.as_deref(), old);
        let shown = write.new.map(|new| write.shown_as(&kind, new));
        let patched = hook.patched(shown.as_ref(), answer.patch)?;
        let Some(seen) = seen else { return Ok(Some(false)) };
        let mut made = if shown.as_ref() == Some(&*seen) {
            patched
        } else {
            kind.shown_as(&asked.target.kind, &patched)
        };
        asked.complete(&mut made).map_err(|error| hook.spoiled(&error))?;
        let changed = made != *seen;
        *seen = made;
        Ok(Some(changed))
    }

    /// Asks a webhook about a write. None if it is not concerned, or if it could not be asked and says that this is no
    /// matter. Errors: it could not be asked.
    async fn ask(
        &self,
        snapshot: &Snapshot,
        hook: &Hook,
        write: &Write<'_>,
        mutates: bool,
    ) -> Result<Option<Said>, Error> {
        let Some(kind) = hook.concerns(snapshot, write)? else { return Ok(None) };
        let uid = Uuid::new_v4().to_string();
        let review = hook.review(write, &kind, &uid);
        let answered = self.0.webhooks.post(hook, &review).await;
        match answered.and_then(|body| hook.read_answer(&body, &uid, mutates)) {
            Ok(answer) => Ok(Some(Said { kind, answer })),
            Err(why) => {
                tracing::warn!(webhook = hook.name, why, ignored = hook.ignores_failures, "a webhook failed");
                hook.failed(&why).map(|()| None)
            }
        }
    }
}

impl Given<'_> {
    fn dry_run(&self) -> bool {
        match self {
            Given::Create(options) | Given::Update(options) => options.dry_run,
            Given::Delete(options) => options.dry_run,
        }
    }

    /// As `CreateOptions`, `UpdateOptions` or `DeleteOptions`.
    fn as_object(&self) -> Value {
        let mut options = match self {
            Given::Create(options) => write_options("CreateOptions", options),
            Given::Update(options) => write_options("UpdateOptions", options),
            Given::Delete(options) => delete_options(options),
        };
        if self.dry_run() {
            options["dryRun"] = json!(["All"]);
        }
        options
    }
}

fn write_options(kind: &str, options: &WriteOptions) -> Value {
    json!({"kind": kind, "apiVersion": "meta.k8s.io/v1", "fieldManager": options.field_manager,
        "fieldValidation": format!("{:?}", options.field_validation)})
}

fn delete_options(options: &DeleteOptions) -> Value {
    let mut object = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"});
    if let Some(seconds) = options.wish.grace_seconds {
        object["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(propagation) = options.wish.propagation {
        object["propagationPolicy"] = format!("{propagation:?}").into();
    }
    if options.uid.is_some() || options.resource_version.is_some() {
        object["preconditions"] = json!({"uid": options.uid, "resourceVersion": options.resource_version});
    }
    object
}

//! Creates, updates and patches.

use super::admit::{Asked, Given};
use super::commit::Failure;
use super::decode;
use super::prepare;
use super::request::{
    Body, CUSTOM_BODIES, CUSTOM_PATCHES, FieldValidation, MediaType, PatchType, Shown, Target, WriteOptions,
    Written, unsupported,
};
use super::{FrontDoor, MAX_ATTEMPTS, existing, too_busy};
use jiff::Timestamp;
use peapod_api::error::Reason;
use peapod_api::{Error, FieldError, Kind, Object, Subresource};
use peapod_core::auth::{self, User};
use peapod_core::patch::{self, Operation};
use peapod_core::schema::Type;
use peapod_core::schema::decode::Decoded;
use peapod_core::strategy::certificate::stamp_requester;
use peapod_core::strategy::{self, Endpoint};
use serde_json::Value;
use std::sync::Arc;

/// An object that was made from the one that is there.
pub(super) struct Made {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
    /// Whether its managed fields say already who made it.
    pub(super) recorded: bool,
}

impl FrontDoor {
    /// POST: creates an object, binds or evicts a pod.
    pub async fn create(
        &self,
        user: &User,
        target: Target,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        match target.subresource {
            None => {}
            Some(Subresource::Binding) => return self.bind(user, target, body, options).await,
            Some(Subresource::Eviction) => return self.evict(user, target, body, options).await,
            Some(_) => return Err(Error::method_not_allowed()),
        }
        self.admit_user(&self.cache().snapshot(), user, "create", &target)?;
        let decoded = read(&target, &body)?;
        let (mut object, mut warnings) = decode::object(&target, decoded, options.field_validation)?;
        if object["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            return Err(Error::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let named = Target { name: name.into(), ..target.clone() };
        self.admit_user(&self.cache().snapshot(), user, "create", &named)?;
        stamp_requester(&target.kind, &mut object, user);
        target.kind.complete(&mut object)?;
        let asked = Asked::new(user, &named, Given::Create(&options));
        warnings.extend(self.mutate(&asked, &mut object, None).await?);
        let mut written = self.insert(user, &named, object, &options).await?;
        written.warnings.splice(0..0, warnings);
        Ok(written)
    }

    /// Creates a decoded and complete object. What the server chose (a generated name, an address, a port) is chosen anew
    /// if somebody else was quicker.
    async fn insert(
        &self,
        user: &User,
        target: &Target,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Written, Error> {
        let (kind, asked) = (&target.kind, Asked::new(user, target, Given::Create(options)));
        let api_version = kind.api_version();
        let named = object["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty());
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.cache().snapshot();
            let moment = self.moment(&snapshot);
            let operation = operation(options, kind, &api_version, "", moment.stamp.now);
            let step = match prepare::create(&moment, kind, object.clone(), Some(&operation)) {
                Err(error) if !named && error.reason() == Reason::AlreadyExists => continue,
                other => other?,
            };
            auth::admit_write(&snapshot, user, kind, None, &step.object, None)?;
            let mut warnings = step.warnings.clone();
            warnings.extend(self.judge(&asked, Some(&step.object), None).await?);
            if options.dry_run {
                return Ok(Written { shown: FrontDoor::rehearse(&step), created: true, warnings });
            }
            match self.commit(Vec::new(), vec![step]).await {
                Ok(objects) => return Ok(Written { shown: only(objects)?, created: true, warnings }),
                Err(Failure::Moved(key, _)) if named => {
                    return Err(Error::already_exists(key.resource(), key.name()));
                }
                Err(Failure::Moved(..)) => {}
                // The next attempt says what was wrong, or chooses something else.
                Err(Failure::Rule(_)) => self.cache().wait_for(snapshot.revision() + 1).await,
                Err(other) => return Err(other.into_error()),
            }
        }
        Err(Error::internal("no free name or address was found"))
    }

    /// PUT: replaces an object, its status, or the number of its replicas.
    pub async fn update(
        &self,
        user: &User,
        target: Target,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        self.admit_user(&self.cache().snapshot(), user, "update", &target)?;
        if target.subresource == Some(Subresource::Scale) {
            return self.update_scale(user, target, body, options).await;
        }
        let endpoint = prepare::endpoint(&target)?;
        let decoded = read(&target, &body)?;
        decode::named(&target, &decoded)?;
        let (mut object, warnings) = decode::object(&target, decoded, options.field_validation)?;
        target.kind.complete(&mut object)?;
        let change =
            |_: &Object| Ok(Made { object: object.clone(), warnings: warnings.clone(), recorded: false });
        self.change(user, &target, endpoint, &options, change).await
    }

    /// PATCH. An apply patch creates what is not there.
    pub async fn patch(
        &self,
        user: &User,
        target: Target,
        patch_type: PatchType,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let snapshot = self.cache().snapshot();
        self.admit_user(&snapshot, user, "patch", &target)?;
        if options.force && patch_type != PatchType::Apply {
            let why = "may not be specified for non-apply patch";
            return Err(decode::bad_option(FieldError::forbidden("force", why)));
        }
        if patch_type == PatchType::Strategic && target.kind.custom {
            return Err(unsupported(&CUSTOM_PATCHES));
        }
        if target.subresource == Some(Subresource::Scale) {
            return self.patch_scale(user, target, patch_type, body, options).await;
        }
        let endpoint = prepare::endpoint(&target)?;
        if patch_type == PatchType::Apply {
            return self.apply(user, &target, endpoint, body, options).await;
        }
        let patch = decode::read(&body)?;
        let change =
            |before: &Object| patched(&target, patch_type, before, &patch.value, options.field_validation);
        self.change(user, &target, endpoint, &options, change).await
    }

    async fn apply(
        &self,
        user: &User,
        target: &Target,
        endpoint: Endpoint,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let decoded = decode::applied_body(&body, &options)?;
        let (config, warnings) = decode::applied(target, decoded, options.field_validation)?;
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.cache().snapshot();
            if snapshot.get(&target.key()).is_some() {
                let now = self.now();
                let change = |before: &Object| applied(target, before, &config, &options, now, &warnings);
                return self.change(user, target, endpoint, &options, change).await;
            }
            if endpoint == Endpoint::Status {
                return Err(Error::not_found(&target.kind.resource(), &target.name));
            }
            self.admit_user(&snapshot, user, "create", target)?;
            if let Some(mut written) = self.apply_new(user, target, &config, &options).await? {
                written.warnings.splice(0..0, warnings);
                return Ok(written);
            }
        }
        Err(too_busy(&target.key()))
    }

    /// Creates by apply; none if somebody else was quicker.
    async fn apply_new(
        &self,
        user: &User,
        target: &Target,
        config: &Value,
        options: &WriteOptions,
    ) -> Result<Option<Written>, Error> {
        let api_version = target.kind.api_version();
        let ty = target.kind.ty()?;
        if config["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
            return Err(Error::not_found(&target.kind.resource(), &target.name));
        }
        let asked = Asked::new(user, target, Given::Create(options));
        let operation = operation(options, &target.kind, &api_version, "", self.now());
        let mut object = patch::apply::apply(ty, None, config, &operation, options.force)?;
        stamp_requester(&target.kind, &mut object, user);
        target.kind.complete(&mut object)?;
        let mut warnings = self.mutate(&asked, &mut object, None).await?;
        let snapshot = self.cache().snapshot();
        let step = match prepare::create(&self.moment(&snapshot), &target.kind, object, None) {
            Err(error) if error.reason() == Reason::AlreadyExists => return Ok(None),
            other => other?,
        };
        auth::admit_write(&snapshot, user, &target.kind, None, &step.object, None)?;
        warnings.extend(step.warnings.iter().cloned());
        warnings.extend(self.judge(&asked, Some(&step.object), None).await?);
        if options.dry_run {
            return Ok(Some(Written { shown: FrontDoor::rehearse(&step), created: true, warnings }));
        }
        match self.commit(Vec::new(), vec![step]).await {
            Ok(objects) => Ok(Some(Written { shown: only(objects)?, created: true, warnings })),
            Err(Failure::Moved(..)) => Ok(None),
            Err(Failure::Rule(_)) => {
                self.cache().wait_for(snapshot.revision() + 1).await;
                Ok(None)
            }
            Err(other) => Err(other.into_error()),
        }
    }

    /// Changes the target by `change`, which makes the new object from the one that is there. Where the new object names no
    /// resourceVersion of its own, the change is made again on the fresh object if another write came first. Policies and
    /// webhooks are asked each time; about a binding they have been asked before.
    pub(super) async fn change(
        &self,
        user: &User,
        target: &Target,
        endpoint: Endpoint,
        options: &WriteOptions,
        change: impl Fn(&Object) -> Result<Made, Error> + Send + Sync,
    ) -> Result<Written, Error> {
        let (key, api_version) = (target.key(), target.kind.api_version());
        let mut before = target.kind.shown(&existing(&self.cache().snapshot(), target)?);
        let asked = Asked::new(user, target, Given::Update(options));
        let asks = endpoint != Endpoint::Binding;
        let mut turn = None;
        for _ in 0..MAX_ATTEMPTS {
            let mut made = change(&before)?;
            if asks {
                made.warnings.extend(self.mutate(&asked, &mut made.object, Some(&before)).await?);
            }
            let snapshot = self.cache().snapshot();
            let moment = self.moment(&snapshot);
            let operation = operation(options, &target.kind, &api_version, target.part(), moment.stamp.now);
            let operation = (!made.recorded).then_some(&operation);
            let step = prepare::update(&moment, &target.kind, endpoint, &before, made.object, operation)?;
            let part = target.subresource;
            auth::admit_write(&snapshot, user, &target.kind, part, &step.object, Some(&before))?;
            let mut warnings = [made.warnings, step.warnings.clone()].concat();
            if asks {
                warnings.extend(self.judge(&asked, Some(&step.object), Some(&before)).await?);
            }
            if options.dry_run {
                return Ok(Written { warnings, ..Written::ok(FrontDoor::rehearse(&step)) });
            }
            // The write that takes the last finalizer away ends the object: its last state is what is shown.
            let last_state = step.removes.then(|| step.object.clone());
            match self.commit(Vec::new(), vec![step]).await {
                Ok(objects) => {
                    let shown = last_state.map_or_else(|| only(objects), |last| Ok(Shown::Value(last)))?;
                    return Ok(Written { warnings, ..Written::ok(shown) });
                }
                Err(Failure::Moved(_, Some(current))) => before = target.kind.shown(&current),
                Err(Failure::Rule(_)) => self.cache().wait_for(snapshot.revision() + 1).await,
                Err(other) => return Err(other.into_error()),
            }
            if turn.is_none() {
                turn = Some(self.lane(&key).await);
                // Waiting took time: what is there now is newer than what stood in the way.
                if let Some(newest) =
                    self.cache().snapshot().get(&key).filter(|o| o.revision > before.revision)
                {
                    before = target.kind.shown(newest);
                }
            }
        }
        Err(too_busy(&key))
    }
}

/// Reads a body. Errors: 415 for a custom resource in protobuf, which has no such form.
fn read(target: &Target, body: &Body) -> Result<Decoded, Error> {
    if body.media_type == MediaType::Protobuf && target.kind.custom {
        return Err(unsupported(&CUSTOM_BODIES));
    }
    decode::read(body)
}

fn only(objects: Vec<Option<Arc<Object>>>) -> Result<Shown, Error> {
    let object = objects.into_iter().next().flatten();
    object.map(Shown::Object).ok_or_else(|| Error::internal("the store lost a committed object"))
}

fn operation<'a>(
    options: &'a WriteOptions,
    kind: &Kind,
    api_version: &'a str,
    subresource: &'a str,
    now: Timestamp,
) -> Operation<'a> {
    let manager = if options.field_manager.is_empty() { "unknown" } else { options.field_manager.as_str() };
    strategy::operation(kind, manager, api_version, subresource, now)
}

/// `old` with a patch that knows nothing of owners.
pub(super) fn merged(ty: &Type, patch_type: PatchType, old: &Value, patch: &Value) -> Result<Value, Error> {
    match patch_type {
        PatchType::Json => patch::json::apply(old, patch),
        PatchType::Merge | PatchType::Apply => patch::merge::apply(old, patch),
        PatchType::Strategic => patch::strategic::apply(ty, old, patch),
    }
}

/// `before` with what a manager applies.
pub(super) fn applied(
    target: &Target,
    before: &Object,
    config: &Value,
    options: &WriteOptions,
    now: Timestamp,
    warnings: &[String],
) -> Result<Made, Error> {
    let api_version = target.kind.api_version();
    let operation = operation(options, &target.kind, &api_version, target.part(), now);
    let mut object =
        patch::apply::apply(target.kind.ty()?, Some(&before.value()), config, &operation, options.force)?;
    target.kind.complete(&mut object)?;
    Ok(Made { object, warnings: warnings.to_vec(), recorded: true })
}

/// `before` with a patch applied, decoded and complete, and the warnings.
fn patched(
    target: &Target,
    patch_type: PatchType,
    before: &Object,
    patch: &Value,
    validation: FieldValidation,
) -> Result<Made, Error> {
    let old = before.value();
    let mut new = merged(target.kind.ty()?, patch_type, &old, patch)?;
    // A patch that names no resourceVersion is meant for whatever is there.
    let names_version = patch_type != PatchType::Json
        && patch.pointer("/metadata/resourceVersion").is_some_and(|version| !version.is_null());
    if !names_version && new["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"] {
        new["metadata"]["resourceVersion"] = Value::Null;
    }
    let (mut object, warnings) = decode::object(target, Decoded::from(new), validation)?;
    target.kind.complete(&mut object)?;
    Ok(Made { object, warnings, recorded: false })
}

//! The number of replicas as `autoscaling/v1 Scale`.

use super::decode;
use super::request::{Body, FieldValidation, PatchType, Shown, Target, WriteOptions, Written};
use super::write::{self, Made};
use super::{FrontDoor, existing};
use peapod_api::{Error, FieldError, Object, Subresource};
use peapod_core::auth::User;
use peapod_core::patch::{self, typed};
use peapod_core::schema::decode::Decoded;
use peapod_core::strategy::Endpoint;
use peapod_core::strategy::scale::{nested, replicas_path, scale_of};
use serde_json::{Value, json};

const API_VERSION: &str = "autoscaling/v1";

impl FrontDoor {
    /// GET of a Scale. Errors: 404.
    pub fn scale(&self, target: &Target) -> Result<Value, Error> {
        let object = target.kind.shown(&existing(&self.cache().snapshot(), target)?);
        Ok(scale_of(&target.kind, &object.value()))
    }

    pub(super) async fn update_scale(
        &self,
        user: &User,
        target: Target,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let (scale, warnings) =
            decode::other(API_VERSION, "Scale", decode::read(&body)?, options.field_validation)?;
        self.set_scale(user, &target, &options, |object| scaled(&target, object, &scale, warnings.clone()))
            .await
    }

    pub(super) async fn patch_scale(
        &self,
        user: &User,
        target: Target,
        patch_type: PatchType,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        if patch_type == PatchType::Apply {
            return self.apply_scale(user, target, body, options).await;
        }
        let patch = decode::read(&body)?.value;
        let ty = decode::type_of(API_VERSION, "Scale")?;
        let change = |object: &Object| {
            let mut old = scale_of(&target.kind, &object.value());
            if let Some(metadata) = old["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
            }
            let new = write::merged(ty, patch_type, &old, &patch)?;
            let validation: FieldValidation = options.field_validation;
            let (scale, warnings) = decode::other(API_VERSION, "Scale", Decoded::from(new), validation)?;
            scaled(&target, object, &scale, warnings)
        };
        self.set_scale(user, &target, &options, change).await
    }

    /// An applied Scale is an applied workload that names its replicas alone: that is what its manager owns.
    async fn apply_scale(
        &self,
        user: &User,
        target: Target,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let decoded = decode::applied_body(&body, &options)?;
        typed::check(decode::type_of(API_VERSION, "Scale")?, &decoded.value)?;
        let (scale, warnings) = decode::other(API_VERSION, "Scale", decoded, options.field_validation)?;
        let replicas = replicas_of(&target, &scale)?;
        let kind = &target.kind;
        let mut config = nested(&replicas_path(kind), replicas);
        config["apiVersion"] = kind.api_version().into();
        config["kind"] = (*kind.kind).into();
        config["metadata"] = json!({"name": target.name});
        if let Some(version) = scale["metadata"]["resourceVersion"].as_str() {
            config["metadata"]["resourceVersion"] = version.into();
        }
        let now = self.moment(&self.cache().snapshot()).stamp.now;
        let change = |before: &Object| write::applied(&target, before, &config, &options, now, &warnings);
        self.set_scale(user, &target, &options, change).await
    }

    async fn set_scale(
        &self,
        user: &User,
        target: &Target,
        options: &WriteOptions,
        change: impl Fn(&Object) -> Result<Made, Error> + Send + Sync,
    ) -> Result<Written, Error> {
        let target = Target { subresource: Some(Subresource::Scale), ..target.clone() };
        let written = self.change(user, &target, Endpoint::Main, options, change).await?;
        let shown = Shown::Value(scale_of(&target.kind, &written.shown.value()));
        Ok(Written { shown, ..written })
    }
}

/// The object with the replicas of `scale`.
fn scaled(target: &Target, object: &Object, scale: &Value, warnings: Vec<String>) -> Result<Made, Error> {
    let replicas = replicas_of(target, scale)?;
    let mut object = object.value();
    object = patch::merge::apply(&object, &nested(&replicas_path(&target.kind), replicas))?;
    for field in ["resourceVersion", "uid"] {
        object["metadata"][field] = scale["metadata"][field].clone();
    }
    Ok(Made { object, warnings, recorded: false })
}

/// What a Scale asks for. Errors: 400 if it is another object's; 422 if the number is negative.
fn replicas_of(target: &Target, scale: &Value) -> Result<i64, Error> {
    let name = scale["metadata"]["name"].as_str().unwrap_or_default();
    if !name.is_empty() && name != target.name {
        let why =
            format!("the name of the object ({name}) does not match the name on the URL ({})", target.name);
        return Err(Error::bad_request(why));
    }
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let fault = FieldError::invalid("spec.replicas", &replicas.into(), why);
        return Err(Error::invalid("autoscaling", "Scale", &target.name, &[fault]));
    }
    Ok(replicas)
}

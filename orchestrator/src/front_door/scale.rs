//! The number of replicas as `autoscaling/v1 Scale`.

use super::decode;
use super::prepare::method_not_allowed;
use super::request::{Body, FieldValidation, PatchType, Shown, Target, WriteOptions, Written};
use super::write::Made;
use super::{FrontDoor, existing};
use peapod_api::{Error, FieldError, Object, Subresource};
use peapod_core::patch;
use peapod_core::schema::decode::Decoded;
use peapod_core::strategy::Endpoint;
use peapod_core::strategy::scale::scale_of;
use serde_json::Value;

const API_VERSION: &str = "autoscaling/v1";

impl FrontDoor {
    /// GET of a Scale. Errors: 404.
    pub fn scale(&self, target: &Target) -> Result<Value, Error> {
        Ok(scale_of(&existing(&self.cache().snapshot(), target)?.value()))
    }

    pub(super) async fn update_scale(
        &self,
        target: Target,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        let (scale, warnings) =
            decode::other(API_VERSION, "Scale", decode::read(&body)?, options.field_validation)?;
        self.set_scale(&target, &options, |object| scaled(&target, object, &scale, warnings.clone())).await
    }

    pub(super) async fn patch_scale(
        &self,
        target: Target,
        patch_type: PatchType,
        body: Body,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        if patch_type == PatchType::Apply {
            return Err(method_not_allowed());
        }
        let patch = decode::read(&body)?.value;
        let ty = decode::type_of(API_VERSION, "Scale")?;
        let change = |object: &Object| {
            let mut old = scale_of(&object.value());
            if let Some(metadata) = old["metadata"].as_object_mut() {
                metadata.remove("resourceVersion");
            }
            let new = match patch_type {
                PatchType::Json => patch::json::apply(&old, &patch)?,
                PatchType::Strategic => patch::strategic::apply(ty, &old, &patch)?,
                PatchType::Merge | PatchType::Apply => patch::merge::apply(&old, &patch)?,
            };
            let validation: FieldValidation = options.field_validation;
            let (scale, warnings) = decode::other(API_VERSION, "Scale", Decoded::from(new), validation)?;
            scaled(&target, object, &scale, warnings)
        };
        self.set_scale(&target, &options, change).await
    }

    async fn set_scale(
        &self,
        target: &Target,
        options: &WriteOptions,
        change: impl Fn(&Object) -> Result<Made, Error> + Send + Sync,
    ) -> Result<Written, Error> {
        let target = Target { subresource: Some(Subresource::Scale), ..target.clone() };
        let written = self.change(&target, Endpoint::Main, options, change).await?;
        Ok(Written { shown: Shown::Value(scale_of(&written.shown.value())), ..written })
    }
}

/// The object with the replicas of `scale`.
fn scaled(target: &Target, object: &Object, scale: &Value, warnings: Vec<String>) -> Result<Made, Error> {
    let metadata = &scale["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
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
    let mut object = object.value();
    object["spec"]["replicas"] = replicas.into();
    for field in ["resourceVersion", "uid"] {
        object["metadata"][field] = metadata[field].clone();
    }
    Ok(Made { object, warnings, recorded: false })
}

//! What a webhook's answer means.

use super::Hook;
use crate::patch::json;
use crate::validation::{items, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::Error;
use serde_json::Value;

/// The code of a denial that names none, or one of success.
const DENIED: u16 = 400;
/// Most characters of the warnings of one answer, and of one of them where there are too many.
const MAX_WARNINGS_CHARACTERS: usize = 4096;
const MAX_WARNING_CHARACTERS: usize = 256;

/// An answer.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// What the client is told besides.
    pub warnings: Vec<String>,
    /// The operations of a JSON patch; empty if nothing is to change.
    pub patch: Vec<Value>,
    /// Why the write is not allowed.
    pub denial: Option<Denial>,
}

/// A refusal in the webhook's own words.
#[derive(Debug, PartialEq)]
pub struct Denial {
    code: u16,
    reason: String,
    message: String,
    details: Value,
}

impl Hook {
    /// Reads the answer to the review `uid`. Errors: it is none, in words.
    pub fn read_answer(&self, body: &[u8], uid: &str, mutates: bool) -> Result<Answer, String> {
        let review: Value = serde_json::from_slice(body).map_err(|error| {
            format!("failed to call webhook: couldn't get version/kind; json parse error: {error}")
        })?;
        let invalid = |why: String| format!("received invalid webhook response: {why}");
        self.read_review(&review, uid, mutates).map_err(invalid)
    }

    fn read_review(&self, review: &Value, uid: &str, mutates: bool) -> Result<Answer, String> {
        let response = &review["response"];
        if !response.is_object() {
            return Err("webhook response was absent".into());
        }
        let is_v1 = self.version != Some("v1beta1");
        if is_v1 {
            is_the_one(review, uid)?;
        }
        let patch = patch(response, is_v1, mutates)?;
        let denial = match &response["allowed"] {
            Value::Bool(true) => None,
            Value::Bool(false) | Value::Null => Some(self.denial(&response["status"])),
            other => return Err(format!("response.allowed must be a boolean, got {other}")),
        };
        let warnings = items(&response["warnings"]).map(|warning| text(warning).to_string());
        Ok(Answer { warnings: shortened(warnings.collect()), patch, denial })
    }

    fn denial(&self, status: &Value) -> Denial {
        let (said, reason) = (text(&status["message"]), text(&status["reason"]));
        let denied = format!("admission webhook {:?} denied the request", self.name);
        let message = match (said, reason) {
            ("", "") => format!("{denied} without explanation"),
            ("", why) | (why, _) => format!("{denied}: {why}"),
        };
        let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok());
        let code = code.filter(|code| (DENIED..600).contains(code)).unwrap_or(DENIED);
        Denial { code, reason: reason.into(), message, details: status["details"].clone() }
    }

    /// `object` after the patch. Errors: 500 if it does not apply, or if there is no object.
    pub fn patched(&self, object: Option<&Value>, patch: Vec<Value>) -> Result<Value, Error> {
        let Some(object) = object else {
            let name = &self.name;
            let why = format!(
                "admission webhook {name:?} attempted to modify the object, which is not supported for this operation"
            );
            return Err(Error::internal(why));
        };
        json::apply(object, &patch.into()).map_err(|error| self.spoiled(&error))
    }

    /// 500: what its patch makes is no object any more.
    pub fn spoiled(&self, error: &Error) -> Error {
        Error::internal(format!("the patch of admission webhook {:?} cannot be applied: {error}", self.name))
    }
}

impl Denial {
    /// As the client is told.
    pub fn into_error(self) -> Error {
        Error::answered(self.code, &self.reason, self.message).detailed(&self.details)
    }
}

/// It answers this question, in the version in which it was asked.
fn is_the_one(review: &Value, uid: &str) -> Result<(), String> {
    let found = text(&review["response"]["uid"]);
    if found != uid {
        return Err(format!("expected response.uid={uid:?}, got {found:?}"));
    }
    let (api_version, kind) = (text(&review["apiVersion"]), text(&review["kind"]));
    if (api_version, kind) != ("admission.k8s.io/v1", "AdmissionReview") {
        let slash = if api_version.contains('/') { "" } else { "/" };
        return Err(format!(
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got {slash}{api_version}, Kind={kind}"
        ));
    }
    Ok(())
}

fn patch(response: &Value, is_v1: bool, mutates: bool) -> Result<Vec<Value>, String> {
    let (encoded, kind) = (text(&response["patch"]), &response["patchType"]);
    match (mutates, encoded.is_empty(), kind.as_str()) {
        (false, false, _) => return Err("validating webhook may not return response.patch".into()),
        (false, true, Some(_)) => return Err("validating webhook may not return response.patchType".into()),
        (_, true, None) => return Ok(Vec::new()),
        (true, false, None) if is_v1 => {
            return Err("webhook returned response.patch but not response.patchType".into());
        }
        (true, true, Some(_)) => {
            return Err("webhook returned response.patchType but not response.patch".into());
        }
        (true, false, Some("JSONPatch") | None) => {}
        (true, false, Some("")) => return Err("webhook returned invalid response.patchType of \"\"".into()),
        (true, false, Some(other)) => return Err(format!("unsupported patch type {other:?}")),
    }
    let decoded =
        STANDARD.decode(encoded).map_err(|error| format!("response.patch is no base64: {error}"))?;
    serde_json::from_slice(&decoded).map_err(|error| format!("response.patch is no JSON patch: {error}"))
}

/// As many characters as headers may take: where there are too many, each is cut short, then the rest is left out.
fn shortened(warnings: Vec<String>) -> Vec<String> {
    let length = |warning: &String| warning.chars().count();
    if warnings.iter().map(length).sum::<usize>() <= MAX_WARNINGS_CHARACTERS {
        return warnings;
    }
    let cut = warnings.into_iter().map(|warning| warning.chars().take(MAX_WARNING_CHARACTERS).collect());
    let mut left = MAX_WARNINGS_CHARACTERS;
    cut.take_while(|warning: &String| {
        let fits = length(warning) <= left;
        left = left.saturating_sub(length(warning));
        fits
    })
    .collect()
}

//! Writes: what the path, the query and the body say, handed to the front door.

use super::answer::{Answer, add_warnings, whole};
use super::encode::Form;
use super::query::{Query, Selection};
use super::read::form;
use super::resource::Target;
use super::{Inner, MAX_BODY_BYTES, Request, read_body, review};
use crate::front_door::{
    self, Body, DeleteOptions, FieldValidation, MediaType, PatchType, Shown, WriteOptions, Written,
};
use http::{StatusCode, header};
use peapod_api::error::Reason;
use peapod_api::kind::Nature;
use peapod_api::{Error, FieldError, Subresource};
use peapod_core::auth::{Attributes, User};
use serde_json::{Value, json};

/// Longest name of a field manager.
const MAX_MANAGER_BYTES: usize = 128;

/// Answers create, update, patch, delete and deletecollection.
pub(super) async fn answer(
    api: &Inner,
    user: &User,
    verb: &str,
    target: &Target<'_>,
    request: Request,
) -> Result<Answer, Error> {
    check_method(verb, target)?;
    // Who may not write cannot make the server read; the front door asks again, of what it decides on.
    let asked = Attributes::new(verb, &target.kind, target.namespace, target.name);
    api.door.authorize(user, &asked.part(target.subresource))?;
    let form = form(&target.kind, &request)?;
    let content_type = request.header(header::CONTENT_TYPE).to_string();
    check_uncompressed(request.header(header::CONTENT_ENCODING))?;
    let options = options(verb, &request.query, request.header(header::USER_AGENT))?;
    let (to, door, query) = (target.to_front_door(), &api.door, request.query);
    let bytes = read_body(request.body, MAX_BODY_BYTES).await?;
    let written = match verb {
        "create" if target.kind.kind == "Binding" && target.kind.group.is_empty() => {
            door.bind(user, to, object_body(&content_type, bytes)?, options).await?
        }
        "create" if !target.kind.stored() => {
            review::answer(api, user, target, &object_body(&content_type, bytes)?, &options).await?
        }
        "create" if target.subresource == Some(Subresource::Token) => {
            review::token(api, user, target, &object_body(&content_type, bytes)?, &options).await?
        }
        "create" => door.create(user, to, object_body(&content_type, bytes)?, options).await?,
        "update" => door.update(user, to, object_body(&content_type, bytes)?, options).await?,
        "patch" => {
            let patch_type = PatchType::parse(&content_type)?;
            let media_type = if patch_type == PatchType::Apply { MediaType::Yaml } else { MediaType::Json };
            door.patch(user, to, patch_type, Body { media_type, bytes }, options).await?
        }
        "delete" => door.delete(user, to, delete_options(&query, &content_type, bytes)?).await?,
        _ => {
            let selection = Selection::read(&target.kind, &query)?;
            let options = delete_options(&query, &content_type, bytes)?;
            door.delete_collection(user, to, &selection.labels, &selection.fields, options).await?
        }
    };
    Ok(answer_of(&form, written))
}

/// Bodies are read as they are: a small one cannot become a large one. Errors: 415.
fn check_uncompressed(encoding: &str) -> Result<(), Error> {
    if matches!(encoding, "" | "identity") {
        return Ok(());
    }
    let why = format!("the Content-Encoding {encoding:?} is not supported: send the body as it is");
    Err(Error::new(Reason::UnsupportedMediaType, why))
}

/// GET of the `scale` subresource.
pub(super) fn read_scale(api: &Inner, target: &Target<'_>, request: &Request) -> Result<Answer, Error> {
    let scale = api.door.scale(&target.to_front_door())?;
    let (content_type, body) = form(&target.kind, request)?.value(&scale);
    Ok(whole(StatusCode::OK, content_type, body))
}

/// Which verbs the parts of an object have.
fn check_method(verb: &str, target: &Target<'_>) -> Result<(), Error> {
    let allowed = match target.subresource {
        None => target.name.is_empty() == matches!(verb, "create" | "deletecollection"),
        Some(Subresource::Status | Subresource::Scale | Subresource::Approval) => {
            matches!(verb, "update" | "patch")
        }
        Some(Subresource::Binding | Subresource::Eviction | Subresource::Token) => verb == "create",
        Some(Subresource::Finalize) => verb == "update",
        Some(Subresource::Log) => false,
    };
    let answered = match target.kind.nature {
        Nature::Stored => false,
        Nature::Asked => verb != "create",
        Nature::Told => true,
    };
    // Namespaces go one by one.
    let singly =
        verb == "deletecollection" && target.kind.group.is_empty() && target.kind.kind == "Namespace";
    let placed = !target.kind.namespaced() || !target.namespace.is_empty();
    if allowed && placed && !singly && !answered { Ok(()) } else { Err(Error::method_not_allowed()) }
}

fn object_body(content_type: &str, bytes: bytes::Bytes) -> Result<Body, Error> {
    Ok(Body { media_type: MediaType::parse(content_type)?, bytes })
}

/// The options that every write has. Errors: 422 as Kubernetes gives it.
fn options(verb: &str, query: &Query, user_agent: &str) -> Result<WriteOptions, Error> {
    let kind = match verb {
        "update" => "UpdateOptions",
        "patch" => "PatchOptions",
        "delete" | "deletecollection" => "DeleteOptions",
        _ => "CreateOptions",
    };
    let manager = query.text("fieldManager");
    let mut faults = Vec::new();
    if manager.len() > MAX_MANAGER_BYTES {
        faults.push(FieldError::too_long("fieldManager", MAX_MANAGER_BYTES));
    }
    if let Some((at, c)) = manager.char_indices().find(|(_, c)| c.is_control()) {
        let why = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
        faults.push(FieldError::invalid("fieldManager", &json!(manager), &why));
    }
    let dry_run = dry_run(query).unwrap_or_else(|fault| {
        faults.push(fault);
        true
    });
    let field_validation = FieldValidation::parse(query.text("fieldValidation")).unwrap_or_else(|fault| {
        faults.push(fault);
        FieldValidation::default()
    });
    if !faults.is_empty() {
        return Err(Error::invalid("meta.k8s.io", kind, "", &faults));
    }
    let agent = user_agent.split('/').next().unwrap_or_default();
    let agent = &agent[..agent.floor_char_boundary(MAX_MANAGER_BYTES)];
    Ok(WriteOptions {
        dry_run,
        field_manager: if manager.is_empty() { agent.into() } else { manager.into() },
        field_validation,
        force: query.flag("force"),
    })
}

fn dry_run(query: &Query) -> Result<bool, FieldError> {
    let values: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        return Err(FieldError::not_supported("dryRun", &json!(values), &["All"]));
    }
    Ok(!values.is_empty())
}

fn asks_dry_run(query: &Query) -> Result<bool, Error> {
    dry_run(query).map_err(|fault| Error::invalid("meta.k8s.io", "DeleteOptions", "", &[fault]))
}

/// The body's options; without a body those of the query. Errors: 400, 415, 422.
fn delete_options(query: &Query, content_type: &str, bytes: bytes::Bytes) -> Result<DeleteOptions, Error> {
    if !bytes.is_empty() {
        let mut options = DeleteOptions::decode(&object_body(content_type, bytes)?)?;
        options.dry_run |= asks_dry_run(query)?;
        return Ok(options);
    }
    let mut value = json!({});
    if let Some(seconds) = query.number("gracePeriodSeconds")? {
        value["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(policy) = query.get("propagationPolicy") {
        value["propagationPolicy"] = policy.into();
    }
    if query.get("orphanDependents").is_some() {
        value["orphanDependents"] = Value::Bool(query.flag("orphanDependents"));
    }
    Ok(DeleteOptions { dry_run: asks_dry_run(query)?, ..DeleteOptions::read(&value)? })
}

impl Target<'_> {
    pub(super) fn to_front_door(&self) -> front_door::Target {
        front_door::Target {
            kind: self.kind.clone(),
            namespace: self.namespace.into(),
            name: self.name.into(),
            subresource: self.subresource,
        }
    }
}

fn answer_of(form: &Form, written: Written) -> Answer {
    let status = if written.created { StatusCode::CREATED } else { StatusCode::OK };
    let (content_type, body) = match &written.shown {
        Shown::Object(object) => form.object(object),
        Shown::Value(value) => form.value(value),
    };
    let mut answer = whole(status, content_type, body);
    add_warnings(&mut answer, &written.warnings);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<WriteOptions, Error> {
        options("create", &Query::parse(text), "kubectl/v1.36 (linux)")
    }

    #[test]
    fn options_are_read_from_the_query() {
        let plain = read("").unwrap();
        assert_eq!((plain.dry_run, plain.field_manager.as_str(), plain.force), (false, "kubectl", false));
        let all = read("dryRun=All&fieldManager=me&force=true&fieldValidation=Strict").unwrap();
        assert_eq!((all.dry_run, all.field_manager.as_str(), all.force), (true, "me", true));
        assert_eq!(read("dryRun=Some").unwrap_err().code(), 422);
        let why = "CreateOptions.meta.k8s.io \"\" is invalid: [dryRun: Unsupported value: [\"Some\"]: supported values: \"All\", \
                   fieldValidation: Unsupported value: \"Perhaps\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"]";
        assert_eq!(read("fieldValidation=Perhaps&dryRun=Some").unwrap_err().to_string(), why);
        assert_eq!(read(&format!("fieldManager={}", "x".repeat(129))).unwrap_err().code(), 422);
    }

    #[test]
    fn deletions_are_read_from_body_or_query() {
        let query = Query::parse("gracePeriodSeconds=0&propagationPolicy=Orphan&dryRun=All");
        let read = |body: &'static [u8]| delete_options(&query, "application/json", body.into());
        let of_query = read(b"").unwrap();
        assert_eq!((of_query.wish.grace_seconds, of_query.dry_run), (Some(0), true));
        let of_body = read(br#"{"gracePeriodSeconds": 7, "preconditions": {"uid": "u"}}"#).unwrap();
        assert_eq!((of_body.wish.grace_seconds, of_body.uid.as_deref()), (Some(7), Some("u")));
        assert_eq!(of_body.wish.propagation, None);
        assert!(read(b"{").is_err());
    }
}

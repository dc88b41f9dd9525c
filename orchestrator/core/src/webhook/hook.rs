//! One webhook, read once: whom it concerns, where it is and what it is asked.

use super::text_of;
use crate::cel::{Budget, Fault, MAX_CONDITIONS_COST, Program, Val};
use crate::policy::{self, Write};
use crate::served::Served;
use crate::snapshot::Snapshot;
use crate::validation::{items, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::Error;
use serde_json::{Value, json};
use std::sync::OnceLock;
use std::time::Duration;

/// How long an answer is awaited where nothing is said, in seconds.
const TIMEOUT_SECONDS: u64 = 10;
/// The versions of `AdmissionReview` that are spoken here.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// A webhook of a configuration.
#[derive(Debug)]
pub struct Hook {
    /// Its name, which is a domain.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The authorities that its certificate is checked by, PEM; empty: those of the machine.
    pub ca_bundle: Vec<u8>,
    /// How long its answer is awaited.
    pub timeout: Duration,
    /// The version of `AdmissionReview` that it is asked in: the first of its own that is known here.
    pub version: Option<&'static str>,
    /// Whether a write goes on if it cannot be asked.
    pub ignores_failures: bool,
    /// Whether it is asked again if others have changed the object after it.
    pub is_reinvoked: bool,
    value: Value,
    conditions: OnceLock<Vec<(String, Result<Program, String>)>>,
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a URL.
    Url(String),
    /// At a Service of the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
        /// Begins with a slash.
        path: String,
    },
}

impl Place {
    fn read(config: &Value) -> Place {
        let service = &config["service"];
        if !service.is_object() {
            return Place::Url(text_of(config, "url"));
        }
        let port = service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
        let path = text(&service["path"]);
        let slash = if path.starts_with('/') { "" } else { "/" };
        Place::Service {
            namespace: text_of(service, "namespace"),
            name: text_of(service, "name"),
            port,
            path: format!("{slash}{path}"),
        }
    }
}

impl Hook {
    pub(super) fn read(value: &Value) -> Hook {
        let config = &value["clientConfig"];
        let version = items(&value["admissionReviewVersions"]).map(text);
        Hook {
            name: text_of(value, "name"),
            place: Place::read(config),
            ca_bundle: STANDARD.decode(text(&config["caBundle"])).unwrap_or_default(),
            timeout: Duration::from_secs(value["timeoutSeconds"].as_u64().unwrap_or(TIMEOUT_SECONDS)),
            version: version.filter_map(|own| VERSIONS.into_iter().find(|known| *known == own)).next(),
            ignores_failures: value["failurePolicy"] == "Ignore",
            is_reinvoked: value["reinvocationPolicy"] == "IfNeeded",
            value: value.clone(),
            conditions: OnceLock::new(),
        }
    }

    /// Where a request goes, as Kubernetes writes it: `https://svc.ns.svc:443/path?timeout=10s`.
    pub fn url(&self) -> String {
        let timeout = self.timeout.as_secs();
        match &self.place {
            Place::Url(url) => {
                let slash = if url.matches('/').count() < 3 { "/" } else { "" };
                format!("{url}{slash}?timeout={timeout}s")
            }
            Place::Service { namespace, name, port, path } => {
                format!("https://{name}.{namespace}.svc:{port}{path}?timeout={timeout}s")
            }
        }
    }

    /// The resources that its rules name, without their subresources.
    pub(super) fn resources(&self) -> impl Iterator<Item = &str> {
        let rules = items(&self.value["rules"]);
        let named = rules.flat_map(|rule| items(&rule["resources"]).map(text));
        named.map(|name| name.split('/').next().unwrap_or_default())
    }

    /// Whether it is to be asked about the write, and as what kind it knows the object. Errors: 403 if its conditions cannot
    /// be evaluated; 400 if it would act on a dry run.
    pub fn concerns(&self, snapshot: &Snapshot, write: &Write<'_>) -> Result<Option<Served>, Error> {
        let (rules, policy) = (&self.value["rules"], &self.value["matchPolicy"]);
        let Some(kind) = policy::matched(snapshot.kinds(), rules, policy, write) else { return Ok(None) };
        let is_selected = policy::in_namespace(snapshot, &self.value["namespaceSelector"], write)
            && policy::is_selected(&self.value["objectSelector"], write);
        if !is_selected || !self.is_meant(snapshot, &kind, write)? {
            return Ok(None);
        }
        if write.dry_run && !matches!(text(&self.value["sideEffects"]), "None" | "NoneOnDryRun") {
            let why = format!("admission webhook {:?} does not support dry run", self.name);
            return Err(Error::bad_request(why));
        }
        Ok(Some(kind))
    }

    /// Its match conditions: one that is false decides, whatever the others fail with.
    fn is_meant(&self, snapshot: &Snapshot, kind: &Served, write: &Write<'_>) -> Result<bool, Error> {
        let conditions = self.conditions.get_or_init(|| {
            let read = |condition: &Value| {
                (text_of(condition, "expression"), Program::parse(text(&condition["expression"])))
            };
            items(&self.value["matchConditions"]).map(read).collect()
        });
        if conditions.is_empty() {
            return Ok(true);
        }
        let variables = policy::variables(snapshot, write, kind);
        let (mut budget, mut failed) = (Budget::new(MAX_CONDITIONS_COST), Vec::new());
        for (expression, program) in conditions {
            let found = match program {
                Err(why) => Err(format!("compilation error: {why}")),
                Ok(program) => program.eval(&variables, &mut budget).map_err(|fault| match fault {
                    Fault::Failed(why) => why,
                    Fault::Budget => "operation cancelled: actual cost limit exceeded".into(),
                }),
            };
            match found {
                Ok(Val::Bool(true)) => {}
                Ok(_) => return Ok(false),
                Err(why) => failed.push(format!("expression '{expression}' resulted in error: {why}")),
            }
        }
        match failed.len() {
            0 => Ok(true),
            _ if self.ignores_failures => Ok(false),
            1 => Err(Error::forbidden(&write.kind.resource(), write.name, &failed[0])),
            _ => {
                let why = format!("[{}]", failed.join(", "));
                Err(Error::forbidden(&write.kind.resource(), write.name, &why))
            }
        }
    }

    /// What it is asked: an `AdmissionReview` of the write, whose object it knows as `kind`.
    pub fn review(&self, write: &Write<'_>, kind: &Served, uid: &str) -> Value {
        let mut request = policy::request(write, kind);
        request["uid"] = uid.into();
        for (field, object) in [("object", write.new), ("oldObject", write.old)] {
            request[field] = object.map_or(Value::Null, |object| write.shown_as(kind, object));
        }
        let version = self.version.unwrap_or(VERSIONS[0]);
        json!({"kind": "AdmissionReview", "apiVersion": format!("admission.k8s.io/{version}"), "request": request})
    }

    /// What becomes of a write that it could not be asked about. Errors: 500, unless it says that this is no matter.
    pub fn failed(&self, why: &str) -> Result<(), Error> {
        if self.ignores_failures {
            return Ok(());
        }
        Err(Error::internal(format!("failed calling webhook {:?}: {why}", self.name)))
    }
}

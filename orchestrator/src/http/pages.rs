//! Lists in pages: each page after the first is read from the snapshot that the first was read from.

use super::query::{ListQuery, Selection, Version, too_large};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use peapod_api::{Error, Kind, Object};
use peapod_core::snapshot::Snapshot;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How many snapshots are pinned at most; the oldest goes first.
const MAX_PINNED: usize = 32;
/// In place of a revision: the newest.
const ANY_REVISION: i64 = -1;
const VERSION: &str = "meta.k8s.io/v1";
/// How long a page may be asked for after the one before.
const PINNED_FOR: Duration = Duration::from_secs(300);

/// What Kubernetes says of a token whose snapshot is gone; the Status carries a token that goes on without one.
const TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a \
    new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
    results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or \
    deleted between the time the first chunk was returned and now may show up in the list.";

/// Snapshots that continue tokens name.
#[derive(Default)]
pub(crate) struct Pages(Mutex<VecDeque<Pinned>>);

struct Pinned {
    snapshot: Arc<Snapshot>,
    until: Instant,
}

/// What a `continue` token says: the revision of the first page and the key after which the next begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Token {
    v: String,
    /// [`ANY_REVISION`] after the snapshot was lost: what follows is read from what there is.
    rv: i64,
    start: String,
    /// How many objects come after the page that gave it, so that they are counted once; none with a selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<usize>,
}

/// One page.
pub(crate) struct Page {
    pub(crate) objects: Vec<Arc<Object>>,
    pub(crate) token: Option<String>,
    /// How many objects come after it; none where a selector makes that costly to know.
    pub(crate) remaining: Option<usize>,
}

impl Token {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Errors: 400 for what this server has not given.
    pub(crate) fn decode(text: &str) -> Result<Token, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok();
        let token: Option<Token> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let valid = token.filter(|token| {
            token.v == VERSION && (token.rv > 0 || token.rv == ANY_REVISION) && !token.start.is_empty()
        });
        valid.ok_or_else(|| Error::bad_request("continue key is not valid: it was not given by this server"))
    }
}

impl Pages {
    /// The snapshot that `query` is answered from, given the newest one. Errors: 410 for a revision that is not kept,
    /// 504 for one that is not there yet (callers wait for it first).
    pub(crate) fn snapshot(
        &self,
        query: &ListQuery,
        token: Option<&Token>,
        latest: Arc<Snapshot>,
    ) -> Result<Arc<Snapshot>, Error> {
        let wanted = match (token, query.version) {
            (Some(Token { rv: ANY_REVISION, .. }), _) => return Ok(latest),
            (Some(token), _) => token.rv.unsigned_abs(),
            (None, Version::Exact(revision)) => revision,
            (None, Version::AtLeast(revision)) if latest.revision() < revision => {
                return Err(too_large(revision, latest.revision()));
            }
            (None, _) => return Ok(latest),
        };
        if wanted == latest.revision() {
            return Ok(latest);
        }
        if wanted > latest.revision() {
            return Err(too_large(wanted, latest.revision()));
        }
        self.pinned(wanted).ok_or_else(|| match token {
            Some(token) => Error::expired(TOO_OLD)
                .continuing(Token { rv: ANY_REVISION, left: None, ..token.clone() }.encode()),
            None => Error::expired(format!("The resourceVersion for the provided list is too old: {wanted}")),
        })
    }

    fn pinned(&self, revision: u64) -> Option<Arc<Snapshot>> {
        let (mut pinned, now) = (self.0.lock(), Instant::now());
        pinned.retain(|entry| entry.until > now);
        let found = pinned.iter_mut().find(|entry| entry.snapshot.revision() == revision)?;
        found.until = now + PINNED_FOR;
        Some(found.snapshot.clone())
    }

    fn pin(&self, snapshot: &Arc<Snapshot>) {
        if self.pinned(snapshot.revision()).is_some() {
            return;
        }
        let mut pinned = self.0.lock();
        if pinned.len() >= MAX_PINNED {
            pinned.pop_front();
        }
        pinned.push_back(Pinned { snapshot: snapshot.clone(), until: Instant::now() + PINNED_FOR });
    }

    /// Reads one page of `kind` in `namespace` (none: all) and pins the snapshot if more follows.
    pub(crate) fn page(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        query: &ListQuery,
        token: Option<&Token>,
        snapshot: &Arc<Snapshot>,
    ) -> Page {
        let resource = kind.stored_resource();
        let start = token.map_or("", |token| token.start.as_str());
        let mut rest = candidates(snapshot, &resource, namespace, start, &query.selection);
        let Some(limit) = query.limit else {
            return Page { objects: rest.collect(), token: None, remaining: None };
        };
        let objects: Vec<_> = rest.by_ref().take(limit).collect();
        let Some(_next) = rest.next() else { return Page { objects, token: None, remaining: None } };
        let left = token.and_then(|token| token.left).map(|left| left.saturating_sub(objects.len()));
        let remaining = query.selection.is_empty().then(|| left.unwrap_or_else(|| 1 + rest.count()));
        let start = objects.last().map_or_else(String::new, |object| object.key.to_string());
        self.pin(snapshot);
        let rv = i64::try_from(snapshot.revision()).unwrap_or(i64::MAX);
        let token = Token { v: VERSION.into(), rv, start, left: remaining };
        Page { objects, token: Some(token.encode()), remaining }
    }
}

/// The objects that `selection` takes in, in the order of their keys, read over the narrowest index.
pub(crate) fn candidates<'a>(
    snapshot: &'a Snapshot,
    resource: &str,
    namespace: Option<&'a str>,
    start: &'a str,
    selection: &'a Selection,
) -> Box<dyn Iterator<Item = Arc<Object>> + 'a> {
    let matching = move |object: &&Arc<Object>| selection.matches(object);
    if let (Some(namespace), Some(name)) = (namespace, selection.fields.required("metadata.name")) {
        let found = snapshot.find(resource, namespace, name).filter(|object| object.key.as_str() > start);
        return Box::new(found.into_iter().filter(matching).cloned());
    }
    if let ("pods", Some(node)) = (resource, selection.fields.required("spec.nodeName")) {
        let here = move |object: &&Arc<Object>| {
            namespace.is_none_or(|namespace| object.namespace() == namespace) && object.key.as_str() > start
        };
        return Box::new(snapshot.pods_on(node).filter(here).filter(matching).cloned());
    }
    if start.is_empty() {
        return Box::new(snapshot.list(resource, namespace).filter(matching).cloned());
    }
    Box::new(snapshot.list_after(resource, namespace, start).filter(matching).cloned())
}

#[cfg(test)]
mod tests {
    use super::super::query::Query;
    use super::*;
    use peapod_api::{Draft, Key, kinds};
    use peapod_core::snapshot::Change;
    use serde_json::json;

    fn kind() -> &'static Kind {
        kinds::lookup("", "configmaps").unwrap()
    }

    fn add(snapshot: &mut Snapshot, name: &str) {
        let value = json!({"metadata": {"name": name, "namespace": "d", "labels": {"n": name}}});
        let key = Key::new("configmaps", "d", name);
        let revision = snapshot.revision() + 1;
        let object = Arc::new(Draft::new(kind(), key.clone(), value).at(revision));
        snapshot.apply(&Change::new(revision, key, None, Some(object)));
    }

    fn world(names: &[&str]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        names.iter().for_each(|name| add(&mut snapshot, name));
        snapshot
    }

    fn names(page: &Page) -> Vec<String> {
        page.objects.iter().map(|object| object.name().into()).collect()
    }

    #[test]
    fn pages_come_from_one_snapshot() {
        let (pages, mut snapshot) = (Pages::default(), world(&["a", "b", "c", "d", "e"]));
        let query = ListQuery::read(kind(), &Query::parse("limit=2")).unwrap();
        let first_snapshot = Arc::new(snapshot.clone());
        let first = pages.page(kind(), Some("d"), &query, None, &first_snapshot);
        assert_eq!((names(&first), first.remaining), (vec!["a".into(), "b".into()], Some(3)));
        add(&mut snapshot, "bb");
        let token = Token::decode(&first.token.unwrap()).unwrap();
        let pinned = pages.snapshot(&query, Some(&token), Arc::new(snapshot.clone())).unwrap();
        assert_eq!(pinned.revision(), first_snapshot.revision());
        let second = pages.page(kind(), Some("d"), &query, Some(&token), &pinned);
        assert_eq!((names(&second), second.remaining), (vec!["c".into(), "d".into()], Some(1)));
        let token = Token::decode(&second.token.unwrap()).unwrap();
        let last = pages.page(kind(), Some("d"), &query, Some(&token), &pinned);
        assert_eq!((names(&last), last.token), (vec!["e".to_string()], None));
    }

    #[test]
    fn what_is_not_pinned_has_expired() {
        let (pages, snapshot) = (Pages::default(), Arc::new(world(&["a", "b"])));
        let query = |text: &str| ListQuery::read(kind(), &Query::parse(text)).unwrap();
        let ask = |text: &str| pages.snapshot(&query(text), None, snapshot.clone()).map(|s| s.revision());
        assert_eq!(ask("resourceVersion=1&resourceVersionMatch=Exact").unwrap_err().code(), 410);
        assert_eq!(ask("resourceVersion=2&resourceVersionMatch=Exact").unwrap(), 2);
        assert_eq!(ask("resourceVersion=3").unwrap_err().code(), 504);
        assert_eq!(ask("resourceVersion=1").unwrap(), 2);
        assert_eq!(Token::decode("rubbish").unwrap_err().code(), 400);
        let old = Token { v: VERSION.into(), rv: 1, start: "configmaps/d/a".into(), left: Some(1) };
        let gone = pages.snapshot(&query("limit=1"), Some(&old), snapshot.clone()).unwrap_err();
        assert_eq!(gone.status()["reason"], "Expired");
        let on = Token::decode(gone.status()["metadata"]["continue"].as_str().unwrap()).unwrap();
        assert_eq!(pages.snapshot(&query("limit=1"), Some(&on), snapshot.clone()).unwrap().revision(), 2);
        assert_eq!(names(&pages.page(kind(), None, &query("limit=1"), Some(&on), &snapshot)), ["b"]);
    }

    #[test]
    fn no_more_than_the_limit_is_pinned() {
        let (pages, mut snapshot) = (Pages::default(), world(&["a", "b"]));
        for index in 0..MAX_PINNED + 5 {
            add(&mut snapshot, &format!("n{index}"));
            pages.pin(&Arc::new(snapshot.clone()));
        }
        assert_eq!(pages.0.lock().len(), MAX_PINNED);
    }

    #[test]
    fn selectors_and_names_narrow_a_list() {
        let (pages, snapshot) = (Pages::default(), Arc::new(world(&["a", "b", "c"])));
        let list = |namespace, text: &str| {
            let query = ListQuery::read(kind(), &Query::parse(text)).unwrap();
            names(&pages.page(kind(), namespace, &query, None, &snapshot))
        };
        assert_eq!(list(Some("d"), "labelSelector=n%3Db"), ["b"]);
        assert_eq!(list(Some("d"), "fieldSelector=metadata.name%3Dc"), ["c"]);
        assert_eq!(list(None, "labelSelector=n!%3Da"), ["b", "c"]);
        assert!(list(Some("other"), "").is_empty());
    }
}

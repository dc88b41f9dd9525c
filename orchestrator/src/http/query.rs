//! What a URL's query asks for. Pure.

use peapod_api::error::{Cause, Reason};
use peapod_api::selector::{FieldSelector, LabelSelector};
use peapod_api::{Error, FieldError, Kind, kinds};
use peapod_core::duration;
use serde_json::json;
use std::time::Duration;

/// The decoded parameters, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d`.
    pub(crate) fn parse(text: &str) -> Query {
        Query(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// Adds a parameter after the others.
    pub(crate) fn push(&mut self, name: &str, value: String) {
        self.0.push((name.into(), value));
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, empty where it is absent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Kubernetes' rule for flags: present and neither `false` nor `0`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }

    /// `timeout`, as Go writes durations: how long the client will wait. Errors: 400.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, Error> {
        let Some(text) = self.get("timeout").filter(|text| !text.is_empty()) else { return Ok(None) };
        let nanos = duration::parse(text).and_then(|nanos| u64::try_from(nanos).ok()).ok_or_else(|| {
            Error::bad_request(format!(
                "invalid timeout specified in the request URL: time: invalid duration {text:?}"
            ))
        })?;
        Ok(Some(Duration::from_nanos(nanos)).filter(|timeout| !timeout.is_zero()))
    }

    /// A whole number. Errors: 400 for what is none.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let bad = |_| Error::bad_request(format!("{name}: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(bad)
    }
}

/// Which state of the world a read may be answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// What has been committed when the request arrives.
    Latest,
    /// Anything: `resourceVersion=0`.
    Any,
    /// This revision or a later one.
    AtLeast(u64),
    /// This revision.
    Exact(u64),
}

/// The options of a list.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) selection: Selection,
    pub(crate) version: Version,
    /// At most so many objects; none: all.
    pub(crate) limit: Option<usize>,
    /// The token of the page before.
    pub(crate) token: Option<String>,
}

/// The options of a watch.
#[derive(Debug)]
pub(crate) struct WatchQuery {
    pub(crate) selection: Selection,
    /// Where it begins; none: with what there is.
    pub(crate) after: Option<u64>,
    /// What the initial objects may be read from.
    pub(crate) version: Version,
    /// Whether the objects that are there already are sent as ADDED.
    pub(crate) initial: bool,
    /// Whether a bookmark tells where those end.
    pub(crate) mark_end: bool,
    pub(crate) bookmarks: bool,
    /// After which the server ends the watch.
    pub(crate) timeout: Option<Duration>,
}

/// Which objects of a collection are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Selection {
    /// Errors: 400 for bad syntax or a field that the kind has no index for.
    pub(crate) fn read(kind: &Kind, query: &Query) -> Result<Selection, Error> {
        let fields = FieldSelector::parse(query.text("fieldSelector"), &kind.fields)?;
        Ok(Selection {
            labels: LabelSelector::parse(query.text("labelSelector"))?,
            fields: match kinds::stored_as(kind) {
                Some(stored) => fields.renamed(&kind.fields, &stored.fields),
                None => fields,
            },
        })
    }

    pub(crate) fn matches(&self, object: &peapod_api::Object) -> bool {
        self.labels.matches(&object.header.labels) && self.fields.matches(object)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl ListQuery {
    /// Errors: 400 and 422 as Kubernetes gives them.
    pub(crate) fn read(kind: &Kind, query: &Query) -> Result<ListQuery, Error> {
        let limit =
            query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let token = query.get("continue").filter(|token| !token.is_empty()).map(Into::into);
        if query.flag("sendInitialEvents") {
            return Err(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        let bad =
            |_| Error::bad_request(format!("invalid resource version: {:?}", query.text("resourceVersion")));
        let (revision, rule) = (revision(query).map_err(bad)?, query.text("resourceVersionMatch"));
        let version = match (revision, rule) {
            (None, "") => Version::Latest,
            (None, _) => {
                return Err(options_forbid(
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
            (Some(revision), _) if token.is_some() => at_continue(revision, rule)?,
            (Some(0), "Exact") => {
                return Err(options_forbid(
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
                ));
            }
            (Some(0), "" | "NotOlderThan") => Version::Any,
            (Some(revision), "Exact") => Version::Exact(revision),
            (Some(revision), "") if limit.is_some() => Version::Exact(revision),
            (Some(revision), "" | "NotOlderThan") => Version::AtLeast(revision),
            (Some(_), other) => return Err(unsupported_match(other, &["Exact", "NotOlderThan", ""])),
        };
        Ok(ListQuery { selection: Selection::read(kind, query)?, version, limit, token })
    }
}

fn at_continue(revision: u64, rule: &str) -> Result<Version, Error> {
    if !rule.is_empty() {
        return Err(options_forbid("resourceVersionMatch is forbidden when continue is provided"));
    }
    match revision {
        0 => Ok(Version::Any),
        _ => Err(Error::bad_request("specifying resource version is not allowed when using continue")),
    }
}

impl WatchQuery {
    /// Errors: 400 and 422 as Kubernetes gives them.
    pub(crate) fn read(kind: &Kind, query: &Query) -> Result<WatchQuery, Error> {
        let (revision, rule) = (revision(query)?, query.text("resourceVersionMatch"));
        let bookmarks = query.flag("allowWatchBookmarks");
        let stream_list = match (query.get("sendInitialEvents"), rule) {
            (None, "") => None,
            (None, _) => {
                return Err(options_forbid(
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            (Some(_), "NotOlderThan") => Some(query.flag("sendInitialEvents")),
            (Some(_), "") => {
                return Err(options_forbid(
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
            (Some(_), other) => return Err(unsupported_match(other, &["NotOlderThan"])),
        };
        let seconds = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0);
        let known = revision.filter(|revision| *revision > 0);
        let version = match (revision, known) {
            (_, Some(known)) => Version::AtLeast(known),
            (Some(_), None) => Version::Any,
            (None, None) => Version::Latest,
        };
        Ok(WatchQuery {
            selection: Selection::read(kind, query)?,
            after: if stream_list == Some(true) { None } else { known },
            version,
            initial: stream_list.unwrap_or(known.is_none()),
            mark_end: stream_list == Some(true) && bookmarks,
            bookmarks,
            timeout: seconds.map(|seconds| Duration::from_secs(seconds as u64)),
        })
    }
}

/// `resourceVersion`: none where absent or empty.
fn revision(query: &Query) -> Result<Option<u64>, Error> {
    let Some(text) = query.get("resourceVersion").filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let error = FieldError::invalid(
            "resourceVersion",
            &json!(text),
            "must be a whole number as the server gave it",
        );
        Error::invalid("meta.k8s.io", "ListOptions", "", &[error])
    })
}

fn options_forbid(detail: &str) -> Error {
    forbidden("resourceVersionMatch", detail)
}

fn forbidden(field: &str, detail: &str) -> Error {
    Error::invalid("meta.k8s.io", "ListOptions", "", &[FieldError::forbidden(field, detail)])
}

fn unsupported_match(value: &str, supported: &[&str]) -> Error {
    let error = FieldError::not_supported("resourceVersionMatch", &json!(value), supported);
    Error::invalid("meta.k8s.io", "ListOptions", "", &[error])
}

/// 504: the client knows a revision that this server has not reached.
pub(crate) fn too_large(wanted: u64, current: u64) -> Error {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    let cause = Cause {
        reason: "ResourceVersionTooLarge".into(),
        message: "Too large resource version".into(),
        field: String::new(),
    };
    Error::new(Reason::Timeout, message).because(cause).retry_after(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use peapod_api::kinds;

    fn pods() -> &'static Kind {
        kinds::lookup("", "pods").unwrap()
    }

    fn list(text: &str) -> Result<ListQuery, Error> {
        ListQuery::read(pods(), &Query::parse(text))
    }

    fn watch(text: &str) -> Result<WatchQuery, Error> {
        WatchQuery::read(pods(), &Query::parse(text))
    }

    #[test]
    fn lists_know_their_version() {
        for (text, expected) in [
            ("", Version::Latest),
            ("resourceVersion=", Version::Latest),
            ("resourceVersion=0", Version::Any),
            ("resourceVersion=7", Version::AtLeast(7)),
            ("resourceVersion=7&limit=5", Version::Exact(7)),
            ("resourceVersion=7&limit=5&resourceVersionMatch=NotOlderThan", Version::AtLeast(7)),
            ("resourceVersion=7&resourceVersionMatch=Exact", Version::Exact(7)),
        ] {
            assert_eq!(list(text).unwrap().version, expected, "{text}");
        }
        for (text, code) in [
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersion=0&resourceVersionMatch=Exact", 422),
            ("resourceVersion=1&resourceVersionMatch=Newest", 422),
            ("resourceVersion=x", 400),
            ("resourceVersion=-1", 400),
            ("resourceVersion=5&continue=abc", 400),
            ("resourceVersionMatch=Exact&resourceVersion=5&continue=abc", 422),
            ("sendInitialEvents=true", 422),
            ("limit=many", 400),
            ("fieldSelector=spec.nope=1", 400),
            ("labelSelector=a in b", 400),
        ] {
            assert_eq!(list(text).unwrap_err().code(), code, "{text}");
        }
        assert_eq!(list("limit=0").unwrap().limit, None);
        assert_eq!(list("limit=-1").unwrap().limit, None);
        assert_eq!(watch("resourceVersion=x").unwrap_err().code(), 422);
    }

    #[test]
    fn watches_know_where_they_begin() {
        let shape = |text: &str| {
            let w = watch(text).unwrap();
            (w.after, w.initial, w.mark_end)
        };
        assert_eq!(shape("watch=1"), (None, true, false));
        assert_eq!(shape("resourceVersion=0"), (None, true, false));
        assert_eq!(shape("resourceVersion=9"), (Some(9), false, false));
        let streamed = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        assert_eq!(shape(streamed), (None, true, false));
        assert_eq!(shape(&format!("{streamed}&allowWatchBookmarks=true")), (None, true, true));
        assert_eq!(shape("sendInitialEvents=false&resourceVersionMatch=NotOlderThan"), (None, false, false));
        assert!(watch("sendInitialEvents=true").is_err());
        assert!(watch("resourceVersionMatch=NotOlderThan").is_err());
    }

    #[test]
    fn timeouts_are_durations_of_go() {
        let timeout =
            |text: &str| Query::parse(&format!("timeout={text}")).timeout().map_err(|error| error.code());
        assert_eq!(timeout("32s"), Ok(Some(Duration::from_secs(32))));
        assert_eq!(timeout("1m1.5s"), Ok(Some(Duration::from_millis(61_500))));
        assert_eq!((timeout(""), timeout("0"), timeout("0s")), (Ok(None), Ok(None), Ok(None)));
        for text in ["5", "s", "-1s", "1y", "1s1", "..s", "99999999999999999999999h"] {
            assert_eq!(timeout(text), Err(400), "{text}");
        }
    }

    #[test]
    fn flags_follow_kubernetes() {
        let query = Query::parse("a=true&b=false&c=0&d=&e=1&f=False&sel=x%3Dy+z");
        let set: Vec<bool> = ["a", "b", "c", "d", "e", "f", "g"].map(|name| query.flag(name)).into();
        assert_eq!(set, [true, false, false, true, true, false, false]);
        assert_eq!(query.text("sel"), "x=y z");
    }
}

//! Health, version and what else tells how the server is.

use super::Inner;
use super::answer::{self, Answer};
use super::query::Query;
use futures_util::FutureExt;
use http::StatusCode;
use serde_json::{Value, json};
use std::fmt::Write;

/// The Kubernetes minor version whose API is served.
const KUBERNETES_VERSION: &str = "v1.36.0";
/// What `/` lists.
pub(super) const PATHS: [&str; 14] = [
    "/.well-known/openid-configuration",
    "/api",
    "/api/v1",
    "/apis",
    "/healthz",
    "/livez",
    "/metrics",
    "/openapi/v2",
    "/openapi/v3",
    "/openid/v1/jwks",
    "/readyz",
    "/ui/",
    "/v2/",
    "/version",
];
const CHECKS: [&str; 3] = ["ping", "store", "bootstrap"];

/// `version.Info`
pub(super) fn version() -> Value {
    json!({
        "major": "1", "minor": "36",
        "gitVersion": format!("{KUBERNETES_VERSION}+peapod-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// Whether `path` is one of the health checks, or a single check of one.
pub(super) fn is_check(path: &str) -> bool {
    let mut segments = path.trim_start_matches('/').split('/');
    let root = matches!(segments.next(), Some("livez" | "readyz" | "healthz"));
    root && segments.next().is_none_or(|check| CHECKS.contains(&check)) && segments.next().is_none()
}

/// `ok`, or which checks fail; with `?verbose` all of them.
pub(super) fn check(api: &Inner, path: &str, query: &Query) -> Answer {
    let (root, single) =
        path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
    let excluded = |check: &str| query.all("exclude").any(|excluded| excluded == check);
    let asked = |check: &str| (single.is_empty() || check == single) && !excluded(check);
    let (mut report, mut healthy) = (String::new(), true);
    for check in CHECKS.into_iter().filter(|check| asked(check)) {
        let passed = passes(api, check, root);
        healthy &= passed;
        let line =
            if passed { format!("[+]{check} ok") } else { format!("[-]{check} failed: reason withheld") };
        let _ = writeln!(report, "{line}");
    }
    if !healthy {
        let text = format!("{report}{root} check failed\n");
        return answer::whole(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", text);
    }
    if query.get("verbose").is_some() {
        return answer::text(format!("{report}{root} check passed\n"));
    }
    answer::text("ok")
}

/// A server whose store failed is not alive; one whose first namespaces are not there is not ready.
fn passes(api: &Inner, check: &str, root: &str) -> bool {
    match check {
        "store" => api.cache.failed().now_or_never().is_none(),
        "bootstrap" => root == "livez" || api.cache.snapshot().find("namespaces", "", "default").is_some(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_checks_are_paths() {
        for (path, expected) in [
            ("/livez", true),
            ("/readyz/store", true),
            ("/healthz/ping", true),
            ("/livez/other", false),
            ("/livez/ping/x", false),
            ("/version", false),
        ] {
            assert_eq!(is_check(path), expected, "{path}");
        }
    }

    #[test]
    fn the_version_reads_as_kubernetes() {
        let version = version();
        assert_eq!(version["minor"], "36");
        assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.36.0+peapod-"));
    }
}

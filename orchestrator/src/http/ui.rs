//! `/ui/`: the dashboard's files, for everybody. They hold no data; the page asks the API with its user's token.

use super::answer::{self, Answer};
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Every file of `web/dist` by its path there, `.br` and `.gz` beside what they compress. Empty if it was not built.
const EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));
/// Where the page lives.
const ROOT: &str = "/ui/";
/// The page itself.
const INDEX: &str = "index.html";
/// Files whose names hold a hash of their content are below this folder.
const HASHED: &str = "assets/";
/// The page may do what it needs and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
                      require-trusted-types-for 'script'; trusted-types svelte-trusted-html";
/// What `/ui/` says in a binary without the page.
const NOT_BUILT: &str = "This peapod was built without the dashboard.\n\n`make build` builds it (it needs Node) and then \
                         the binary. `npm ci && npm run build` in web/ before `cargo build` does the same.\n";

/// The dashboard's files.
pub(crate) struct Ui(BTreeMap<&'static str, File>);

struct File {
    etag: String,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

impl Default for Ui {
    fn default() -> Ui {
        Ui::of(EMBEDDED)
    }
}

impl Ui {
    fn of(embedded: &[(&'static str, &'static [u8])]) -> Ui {
        let find = |name: String| embedded.iter().find(|(other, _)| *other == name).map(|(_, bytes)| *bytes);
        let originals = embedded.iter().filter(|(name, _)| !name.ends_with(".br") && !name.ends_with(".gz"));
        let file = |(name, plain): &(&'static str, &'static [u8])| {
            let hash: String = Sha256::digest(plain)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            let (brotli, gzip) = (find(format!("{name}.br")), find(format!("{name}.gz")));
            (*name, File { etag: hash, plain, brotli, gzip })
        };
        Ui(originals.map(file).collect())
    }

    /// Answers GET and HEAD of a path at or below `/ui`; none for other paths.
    pub(super) fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Answer> {
        if path == ROOT.trim_end_matches('/') {
            let mut answer = plain(StatusCode::PERMANENT_REDIRECT, "");
            answer::set_header(&mut answer, header::LOCATION, ROOT);
            return Some(answer);
        }
        let name = path.strip_prefix(ROOT)?;
        let name = if name.is_empty() { INDEX } else { name };
        let mut answer = match (self.0.get(name), method) {
            _ if *method != Method::GET && *method != Method::HEAD => {
                plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed here\n")
            }
            (Some(file), _) => file.answer(name, headers),
            (None, _) if self.0.is_empty() => plain(StatusCode::NOT_FOUND, NOT_BUILT),
            (None, _) => plain(StatusCode::NOT_FOUND, "no such file\n"),
        };
        secure(&mut answer);
        Some(answer)
    }
}

impl File {
    fn answer(&self, name: &str, headers: &HeaderMap) -> Answer {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accepted = text(header::ACCEPT_ENCODING);
        let (coding, bytes) = match (self.brotli, self.gzip) {
            (Some(bytes), _) if accepts(accepted, "br") => ("br", bytes),
            (_, Some(bytes)) if accepts(accepted, "gzip") => ("gzip", bytes),
            _ => ("", self.plain),
        };
        let etag = format!("\"{}{coding}\"", self.etag);
        let known =
            text(header::IF_NONE_MATCH).split(',').any(|known| known.trim().trim_start_matches("W/") == etag);
        let mut answer = if known {
            plain(StatusCode::NOT_MODIFIED, "")
        } else {
            answer::whole(StatusCode::OK, content_type(name), bytes)
        };
        if !coding.is_empty() && !known {
            answer::set_header(&mut answer, header::CONTENT_ENCODING, coding);
        }
        let caching =
            if name.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
        for (name, value) in [
            (header::ETAG, etag.as_str()),
            (header::CACHE_CONTROL, caching),
            (header::VARY, "accept-encoding"),
        ] {
            answer::set_header(&mut answer, name, value);
        }
        answer
    }
}

fn plain(status: StatusCode, text: &'static str) -> Answer {
    answer::whole(status, "text/plain; charset=utf-8", text)
}

fn secure(answer: &mut Answer) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        answer::set_header(answer, name, value);
    }
}

/// Whether an Accept-Encoding header names `coding` and does not rule it out.
fn accepts(header: &str, coding: &str) -> bool {
    header.split(',').any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        named && quality.is_none_or(|q| q.parse::<f32>().is_ok_and(|q| q > 0.0))
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: &[(&str, &[u8])] = &[
        ("assets/page-1a2b.js", b"plain"),
        ("assets/page-1a2b.js.br", b"brotli"),
        ("assets/page-1a2b.js.gz", b"gzip"),
        ("index.html", b"<!doctype html>"),
    ];

    fn ask(ui: &Ui, path: &str, name: HeaderName, value: &str) -> Answer {
        ui.answer(&Method::GET, path, &HeaderMap::from_iter([(name, value.parse().unwrap())])).unwrap()
    }

    fn text<'a>(answer: &'a Answer, name: &str) -> &'a str {
        answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn the_client_chooses_the_encoding() {
        for (accepted, coding) in [
            ("gzip, deflate, br", "br"),
            ("gzip", "gzip"),
            ("br;q=0, gzip;q=0.5", "gzip"),
            ("identity", ""),
            ("", ""),
            ("bra", ""),
        ] {
            let answer = ask(&Ui::of(FILES), "/ui/assets/page-1a2b.js", header::ACCEPT_ENCODING, accepted);
            assert_eq!(text(&answer, "content-encoding"), coding, "{accepted}");
            assert_eq!(text(&answer, "content-type"), "text/javascript; charset=utf-8");
            assert_eq!(text(&answer, "cache-control"), "public, max-age=31536000, immutable");
        }
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let ui = Ui::of(FILES);
        let first = ask(&ui, "/ui/", header::ACCEPT, "*/*");
        assert_eq!((first.status(), text(&first, "cache-control")), (StatusCode::OK, "no-cache"));
        assert!(text(&first, "content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
        let again = ask(&ui, "/ui/", header::IF_NONE_MATCH, &format!("\"x\", W/{}", text(&first, "etag")));
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(text(&again, "etag"), text(&first, "etag"));
        assert_eq!(ask(&ui, "/ui/", header::IF_NONE_MATCH, "\"x\"").status(), StatusCode::OK);
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        let ui = Ui::of(FILES);
        let ask =
            |method, path| ui.answer(&method, path, &HeaderMap::new()).map(|answer| answer.status().as_u16());
        assert_eq!(ask(Method::GET, "/ui"), Some(308));
        assert_eq!(ask(Method::GET, "/ui/../pki/ca.key"), Some(404));
        assert_eq!(ask(Method::GET, "/ui/assets/page-1a2b.js.br"), Some(404));
        assert_eq!(ask(Method::POST, "/ui/"), Some(405));
        assert_eq!(ask(Method::GET, "/uix"), None);
        assert_eq!(ask(Method::GET, "/api"), None);
        let unbuilt = Ui::of(&[]).answer(&Method::GET, "/ui/", &HeaderMap::new()).unwrap();
        assert_eq!(unbuilt.status(), StatusCode::NOT_FOUND);
    }
}

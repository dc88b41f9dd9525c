//! Serves the files under a directory (DIRECTORY, by default `/data`): the volume of a sidecar, for example.
//!
//! `GET /NAME` is a file, `GET /` the list of names. The directory is all that the host lets this guest see, so a path
//! with `..` in it is refused.

use guest::{env, http};
use std::{fs, io, path::Path};
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

struct Files;
wasip2::http::proxy::export!(Files);

impl wasip2::exports::http::incoming_handler::Guest for Files {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if !matches!(request.method(), Method::Get) {
            return http::respond(out, 405, b"only GET\n");
        }
        let target = request.path_with_query().unwrap_or_default();
        let name = target.split('?').next().unwrap_or_default().trim_matches('/');
        let directory = env(&["DIRECTORY"]).unwrap_or_else(|| "/data".into());
        match read(Path::new(&directory), name) {
            Ok(bytes) => http::respond_as(out, 200, content_type(name), &bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                http::respond(out, 404, b"no such file\n")
            }
            Err(error) => http::respond(out, 403, format!("{error}\n").as_bytes()),
        }
    }
}

fn read(directory: &Path, name: &str) -> io::Result<Vec<u8>> {
    if !name.is_empty() {
        return fs::read(directory.join(name));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned() + "\n");
    }
    names.sort();
    Ok(names.concat().into_bytes())
}

/// Text unless the name's ending says otherwise.
fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("wav") => "audio/wav",
        _ => "text/plain; charset=utf-8",
    }
}

//! The front tier of two: asks the Service behind it (BACKEND, by default `http://hello`) and passes its answer on.
#![no_std]

extern crate alloc;

use alloc::{format, string::String};
use guest::{env, http, pod_name};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Front;
wasip2::http::proxy::export!(Front);

impl wasip2::exports::http::incoming_handler::Guest for Front {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if request.path_with_query().as_deref() == Some("/healthz") {
            return http::respond(out, 200, b"ok\n");
        }
        let backend = env(&["BACKEND"]).unwrap_or_else(|| "http://hello".into());
        let (status, said) = match http::get(&backend) {
            Ok((200, body)) => (200, String::from_utf8_lossy(&body).into_owned()),
            Ok((status, _)) => (502, format!("{backend} answered with status {status}\n")),
            Err(error) => (502, format!("{backend} cannot be reached: {error}\n")),
        };
        http::respond(out, status, format!("{} says: {said}", pod_name()).as_bytes());
    }
}

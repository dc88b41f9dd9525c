//! Answers every request with a greeting, the name of its pod and a number.
//!
//! The number is counted in memory. Peapod gives each request an instance of its own, so it is always 1: what should
//! outlive a request belongs in a volume or behind a Service.
#![no_std]

extern crate alloc;

use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};
use guest::{env, http::respond, pod_name};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

static REQUESTS: AtomicU64 = AtomicU64::new(0);

struct Hello;
wasip2::http::proxy::export!(Hello);

impl wasip2::exports::http::incoming_handler::Guest for Hello {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if request.path_with_query().as_deref() == Some("/healthz") {
            return respond(out, 200, b"ok\n");
        }
        let greeting = env(&["GREETING"]).unwrap_or_else(|| "hello".into());
        let count = REQUESTS.fetch_add(1, Ordering::Relaxed) + 1;
        respond(out, 200, format!("{greeting} from {}: request {count}\n", pod_name()).as_bytes());
    }
}

//! What a native server does in `hello`'s place: warp on a kernel socket, no pod, no instance, no Service.
//! `native_hello PORT`; the benches run it beside the real one.

use warp::Filter;

#[tokio::main]
async fn main() {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(8080);
    let hello = warp::any().map(|| "hello from a native server, request 1\n");
    warp::serve(hello).run(([127, 0, 0, 1], port)).await;
}

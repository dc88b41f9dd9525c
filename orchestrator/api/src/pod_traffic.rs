//! Pod traffic between nodes: the names on the wire that agents and the server's relay agree on.
//!
//! It is HTTP/2. One request is one pod connection: `POST /pods/tcp`, whose body is what the dialer sends and whose
//! answer's body is what the listener sends; each ends on its own. `POST /pods/udp` carries the datagrams from one node
//! to another. Headers say from which node to which, and for streams from which address to which.

use std::time::Duration;

/// ALPN of a connection on which pod traffic is asked for.
pub const PROTOCOL: &[u8] = b"peapod-pods/1";
/// The path of a pod connection.
pub const TCP_PATH: &str = "/pods/tcp";
/// The path of a node's datagrams to another.
pub const UDP_PATH: &str = "/pods/udp";
/// The node that asks. What a node says of itself here is replaced by what its certificate proves.
pub const SOURCE_NODE: &str = "peapod-source-node";
/// What stands in the place of a node where the server itself asks: no node is called so.
pub const SERVER: &str = "";
/// The node that is asked.
pub const DESTINATION_NODE: &str = "peapod-destination-node";
/// `IP:PORT` of the pod that dials.
pub const SOURCE: &str = "peapod-source";
/// `IP:PORT` of the pod that is dialled.
pub const DESTINATION: &str = "peapod-destination";
/// Why the destination node refused: the name of a network error, e.g. `connection-refused`. An answer without it and
/// without success means that the node was not reached.
pub const FAILURE: &str = "peapod-failure";

/// Bytes that a receiver lets a sender have on the way on one stream.
pub const STREAM_WINDOW_BYTES: u32 = 512 << 10;
/// The same for a connection: as much as HTTP/2 allows, so that a stream that is not read stalls itself alone.
pub const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;
/// Largest frame.
pub const FRAME_BYTES: u32 = 64 << 10;
/// Streams that one node may have open to one other, or through the server's relay.
pub const STREAMS_PER_NODE: u32 = 1024;
/// Streams that were let go and of which something may still arrive.
pub const LET_GO: usize = 1024;

/// While streams are open each side pings the other this often...
pub const PING_EVERY: Duration = Duration::from_secs(5);
/// ...and gives it up if it does not answer within this time.
pub const PONG_WITHIN: Duration = Duration::from_secs(5);

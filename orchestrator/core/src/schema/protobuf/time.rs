//! Times between JSON's text and protobuf's numbers.

use jiff::Timestamp;
use peapod_api::meta;

/// RFC 3339 text of seconds and nanoseconds since 1970; None outside of what can be written.
pub(super) fn to_text(seconds: i64, nanos: i32, micros: bool) -> Option<String> {
    let at = Timestamp::new(seconds, if micros { nanos } else { 0 }).ok()?;
    Some(if micros { meta::micro_time(at) } else { meta::time(at) })
}

/// Seconds and nanoseconds since 1970 of RFC 3339 text.
pub(super) fn from_text(text: &str) -> Option<(i64, i32)> {
    let at = meta::parse_time(text)?;
    Some((at.as_second(), at.subsec_nanosecond()))
}

//! Times and durations.

use super::functions::Call;
use super::value::Val;
use super::{Budget, Fault, Found};
use crate::duration;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Seconds with their fraction, as CEL writes a duration.
pub(super) fn duration_text(nanos: i64) -> String {
    let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let fraction = format!("{rest:09}");
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{seconds}s") } else { format!("{sign}{seconds}.{fraction}s") }
}

pub(super) fn call(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    Some(match (call.name, call.arguments) {
        ("duration", [Val::String(text)]) => duration::parse(text)
            .map(Val::Duration)
            .ok_or_else(|| Fault::new(format!("invalid duration {text:?}"))),
        ("duration", [value @ Val::Duration(_)]) | ("timestamp", [value @ Val::Timestamp(_)]) => {
            Ok(value.clone())
        }
        ("timestamp", [Val::String(text)]) => {
            text.parse().map(Val::Timestamp).map_err(|_| Fault::new(format!("invalid timestamp {text:?}")))
        }
        ("timestamp", [Val::Int(seconds)]) => {
            Timestamp::from_second(*seconds).map(Val::Timestamp).map_err(|_| Fault::new("timestamp overflow"))
        }
        (name, [Val::Timestamp(at)]) => part(name, *at, TimeZone::UTC)?,
        (name, [Val::Timestamp(at), Val::String(zone)]) => match time_zone(zone) {
            Some(zone) => part(name, *at, zone)?,
            None => Err(Fault::new(format!("unknown time zone {zone}"))),
        },
        ("getHours", [Val::Duration(nanos)]) => Ok(Val::Int(nanos / 3_600_000_000_000)),
        ("getMinutes", [Val::Duration(nanos)]) => Ok(Val::Int(nanos / 60_000_000_000)),
        ("getSeconds", [Val::Duration(nanos)]) => Ok(Val::Int(nanos / 1_000_000_000)),
        ("getMilliseconds", [Val::Duration(nanos)]) => Ok(Val::Int(nanos / 1_000_000)),
        _ => return None,
    })
}

/// `UTC` or an offset such as `+02:00`: what needs no table of zones.
fn time_zone(text: &str) -> Option<TimeZone> {
    if matches!(text, "UTC" | "Z" | "") {
        return Some(TimeZone::UTC);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = rest.split_once(':')?;
    let seconds =
        hours.parse::<i32>().ok()?.checked_mul(3600)?.checked_add(minutes.parse::<i32>().ok()? * 60)?;
    jiff::tz::Offset::from_seconds(sign * seconds).ok().map(TimeZone::fixed)
}

fn part(name: &str, at: Timestamp, zone: TimeZone) -> Option<Found> {
    let at = at.to_zoned(zone);
    Some(Ok(Val::Int(match name {
        "getFullYear" => at.year().into(),
        "getMonth" => i64::from(at.month()) - 1,
        "getDayOfYear" => i64::from(at.day_of_year()) - 1,
        "getDate" => at.day().into(),
        "getDayOfMonth" => i64::from(at.day()) - 1,
        "getDayOfWeek" => at.weekday().to_sunday_zero_offset().into(),
        "getHours" => at.hour().into(),
        "getMinutes" => at.minute().into(),
        "getSeconds" => at.second().into(),
        "getMilliseconds" => at.millisecond().into(),
        _ => return None,
    })))
}

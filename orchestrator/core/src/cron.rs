//! Schedules of CronJobs: five fields, or one of the names such as `@daily`. Complaints are worded as by the parser that
//! Kubernetes uses.

/// The lowest and the highest value of each field: minute, hour, day of the month, month, day of the week.
const BOUNDS: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const NAMED: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// When something is due. Bit n of a field is set if the value n fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Minute, hour, day of the month, month and day of the week.
    Calendar([u64; 5]),
    /// Again and again after so many seconds: `@every 1h30m`.
    Every(u64),
}

impl Schedule {
    /// Reads a schedule without a time zone. Errors: what is wrong with it.
    pub fn parse(text: &str) -> Result<Schedule, String> {
        if text.is_empty() {
            return Err("empty spec string".into());
        }
        if let Some((_, meaning)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Schedule::parse(meaning);
        }
        if let Some(length) = text.strip_prefix("@every ") {
            let seconds = seconds(length).ok_or_else(|| format!("failed to parse duration {text}"))?;
            return Ok(Schedule::Every(seconds));
        }
        if text.starts_with('@') {
            return Err(format!("unrecognized descriptor: {text}"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != BOUNDS.len() {
            let (count, list) = (fields.len(), fields.join(" "));
            return Err(format!("expected exactly 5 fields, found {count}: [{list}]"));
        }
        let mut bits = [0; 5];
        for (at, field) in fields.iter().enumerate() {
            bits[at] = field.split(',').try_fold(0, |bits, part| Ok::<_, String>(bits | range(part, at)?))?;
        }
        Ok(Schedule::Calendar(bits))
    }
}

/// The bits of `3`, `mon-fri`, `*`, `*/15` or `10-40/5`.
fn range(text: &str, at: usize) -> Result<u64, String> {
    let (low, high) = BOUNDS[at];
    let mut parts = text.split('/');
    let (span, step) = (parts.next().unwrap_or_default(), parts.next());
    if parts.next().is_some() {
        return Err(format!("too many slashes: {text}"));
    }
    let (start, mut end) = match span {
        "*" | "?" => (low, high),
        _ => match span.split('-').collect::<Vec<_>>()[..] {
            [one] => (value(one, at)?, value(one, at)?),
            [from, to] => (value(from, at)?, value(to, at)?),
            _ => return Err(format!("too many hyphens: {text}")),
        },
    };
    let step = match step {
        None => 1,
        Some(step) => {
            if !span.contains(['-', '*', '?']) {
                end = high;
            }
            number(step)?
        }
    };
    if start < low {
        return Err(format!("beginning of range ({start}) below minimum ({low}): {text}"));
    }
    if end > high {
        return Err(format!("end of range ({end}) above maximum ({high}): {text}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {text}"));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok((start..=end).step_by(usize::try_from(step).unwrap_or(usize::MAX)).fold(0, |bits, n| bits | 1 << n))
}

/// A number, or the name of a month or a day.
fn value(text: &str, at: usize) -> Result<u32, String> {
    let names: &[&str] = match at {
        3 => &MONTHS,
        4 => &WEEKDAYS,
        _ => &[],
    };
    let named = names.iter().zip(BOUNDS[at].0..).find(|(name, _)| text.eq_ignore_ascii_case(name));
    named.map_or_else(|| number(text), |(_, value)| Ok(value))
}

fn number(text: &str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parsed = if digits { text.parse().ok() } else { None };
    parsed.ok_or_else(|| {
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")
    })
}

/// A length such as `1h30m`, in seconds; at least one.
fn seconds(text: &str) -> Option<u64> {
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (amount, unit) = rest.split_at(digits);
        let factor = match unit.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total = total.checked_add(amount.parse::<u64>().ok()?.checked_mul(factor)?)?;
        rest = &unit[1..];
    }
    (!text.is_empty()).then_some(total.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(values: impl IntoIterator<Item = u32>) -> u64 {
        values.into_iter().fold(0, |bits, n| bits | 1 << n)
    }

    #[test]
    fn fields_are_sets_of_values() {
        let parsed = Schedule::parse("*/20 8-10 1,15 jan-mar MON").unwrap();
        assert_eq!(
            parsed,
            Schedule::Calendar([
                bits([0, 20, 40]),
                bits([8, 9, 10]),
                bits([1, 15]),
                bits([1, 2, 3]),
                bits([1])
            ])
        );
        assert_eq!(Schedule::parse("@hourly"), Schedule::parse("0 * * * *"));
        assert_eq!(Schedule::parse("@every 1h30m"), Ok(Schedule::Every(5400)));
        assert_eq!(Schedule::parse("50/5 * * * *"), Schedule::parse("50,55 * * * *"));
    }

    #[test]
    fn complaints_say_what_is_wrong() {
        for (text, complaint) in [
            ("* * *", "expected exactly 5 fields, found 3: [* * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("@often", "unrecognized descriptor: @often"),
            ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ] {
            assert_eq!(Schedule::parse(text), Err(complaint.into()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[@0-9a-z*/,?\\- ]{0,30}") {
            let _ = Schedule::parse(&text);
        }
    }
}

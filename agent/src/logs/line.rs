//! The line format of the container runtime interface: `TIME STREAM F|P TEXT`.

use jiff::Timestamp;

/// Longest text of one entry, in bytes; a longer line is several partial entries.
pub(super) const LINE_BYTES: usize = 16 << 10;

/// Appends one entry. `complete` says whether a line of the guest ends here.
pub(super) fn append(out: &mut Vec<u8>, now: Timestamp, stream: &str, complete: bool, text: &[u8]) {
    out.extend_from_slice(now.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(stream.as_bytes());
    out.extend_from_slice(if complete { b" F " } else { b" P " });
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// One entry, taken apart.
pub(super) struct Entry<'a> {
    pub(super) time: &'a [u8],
    pub(super) complete: bool,
    pub(super) text: &'a [u8],
}

/// Reads an entry without its line feed; none if it is damaged, as after a power cut.
pub(super) fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut parts = line.splitn(4, |b| *b == b' ');
    let (time, _stream, tag, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let complete = match tag {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Entry { time, complete, text })
}

impl Entry<'_> {
    /// When it was written.
    pub(super) fn at(&self) -> Option<Timestamp> {
        std::str::from_utf8(self.time).ok()?.parse().ok()
    }
}

/// Cuts a guest's writes into lines.
#[derive(Default)]
pub(super) struct Splitter {
    rest: Vec<u8>,
}

impl Splitter {
    /// Gives `each` the text of every entry that `bytes` completes, and whether it ends a line.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = LINE_BYTES - self.rest.len();
            let end = bytes.iter().take(room).position(|b| *b == b'\n');
            let take = end.unwrap_or_else(|| room.min(bytes.len()));
            self.rest.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take + usize::from(end.is_some())..];
            if end.is_some() || self.rest.len() == LINE_BYTES {
                each(&self.rest, end.is_some());
                self.rest.clear();
            }
        }
    }

    /// The last line, if it has no line feed.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&[u8], bool)) {
        if !self.rest.is_empty() {
            each(&self.rest, true);
            self.rest.clear();
        }
    }
}

//! Reading a run's log back, and following it.

use super::run::{FileName, Progress, Run, files};
use super::{PodLogs, line};
use bytes::Bytes;
use futures_util::Stream;
use jiff::Timestamp;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes that are handed on at once.
const CHUNK_BYTES: usize = 64 << 10;

/// What `kubectl logs` may ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogOptions {
    /// Go on as lines come.
    pub(crate) follow: bool,
    /// The run before the newest.
    pub(crate) previous: bool,
    /// Only the last lines.
    pub(crate) tail_lines: Option<u64>,
    /// Only what was written at this time or later.
    pub(crate) since: Option<Timestamp>,
    /// The time in front of each line.
    pub(crate) timestamps: bool,
    /// End after so many bytes.
    pub(crate) limit_bytes: Option<u64>,
}

/// A container's log as text. None: it has no such run.
pub(crate) fn read(
    logs: &PodLogs,
    container: &str,
    options: LogOptions,
) -> io::Result<Option<impl Stream<Item = io::Result<Bytes>> + Send + use<>>> {
    let Some((dir, number, live)) = logs.run(container, options.previous)? else { return Ok(None) };
    let reader = Reader::new(dir, number, live, options)?;
    Ok(Some(futures_util::stream::try_unfold(reader, |mut reader| async move {
        Ok(reader.next().await?.map(|chunk| (chunk, reader)))
    })))
}

struct Reader {
    dir: PathBuf,
    run: u32,
    segment: u64,
    file: Option<BufReader<File>>,
    /// An entry that is not complete yet.
    partial: Vec<u8>,
    /// Whether the last entry ended a line.
    at_line_start: bool,
    /// Lines still to be left out before the tail begins.
    skip: u64,
    left_bytes: u64,
    progress: Option<watch::Receiver<Progress>>,
    options: LogOptions,
}

/// What a look at the files brought.
enum Found {
    Text(Vec<u8>),
    /// All that is written has been read.
    End,
}

impl Reader {
    fn new(dir: PathBuf, run: u32, live: Option<Arc<Run>>, options: LogOptions) -> io::Result<Reader> {
        if let Some(live) = &live {
            // What the guest has written by now belongs to the answer.
            live.flush();
        }
        let first = segments(&dir, run)?.first().copied().unwrap_or(0);
        let mut reader = Reader {
            dir,
            run,
            segment: first,
            file: None,
            partial: Vec::new(),
            at_line_start: true,
            skip: 0,
            left_bytes: options.limit_bytes.unwrap_or(u64::MAX),
            progress: live.map(|run| run.progress()),
            options,
        };
        if let Some(tail) = reader.options.tail_lines {
            reader.skip = reader.count_lines()?.saturating_sub(tail);
        }
        Ok(reader)
    }

    fn count_lines(&self) -> io::Result<u64> {
        let mut count = 0;
        for segment in segments(&self.dir, self.run)? {
            let mut file = BufReader::new(File::open(FileName { run: self.run, segment }.path(&self.dir))?);
            let mut entry = Vec::new();
            while file.read_until(b'\n', &mut entry)? > 0 {
                let text = entry.strip_suffix(b"\n").unwrap_or(&entry);
                count += u64::from(line::parse(text).is_some_and(|e| e.complete && self.is_wanted(&e)));
                entry.clear();
            }
        }
        Ok(count)
    }

    fn is_wanted(&self, entry: &line::Entry<'_>) -> bool {
        self.options.since.is_none_or(|since| entry.at().is_none_or(|at| at >= since))
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if self.left_bytes == 0 {
                return Ok(None);
            }
            // Taken before the look: what comes after it is then seen as a change.
            let progress = self.progress.as_mut().map(|progress| *progress.borrow_and_update());
            match self.look(progress)? {
                Found::Text(mut text) => {
                    text.truncate(usize::try_from(self.left_bytes).unwrap_or(usize::MAX));
                    self.left_bytes -= text.len() as u64;
                    return Ok(Some(text.into()));
                }
                Found::End => {
                    let Some(receiver) = self.progress.as_mut().filter(|_| self.options.follow) else {
                        return Ok(None);
                    };
                    if progress.is_some_and(|progress| progress.ended) || receiver.changed().await.is_err() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn look(&mut self, progress: Option<Progress>) -> io::Result<Found> {
        let last = match progress {
            Some(progress) => progress.segment,
            None => segments(&self.dir, self.run)?.last().copied().unwrap_or(0),
        };
        let mut text = Vec::new();
        loop {
            if self.file.is_none() {
                match File::open(FileName { run: self.run, segment: self.segment }.path(&self.dir)) {
                    Ok(file) => self.file = Some(BufReader::new(file)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            let more = self.read_entries(&mut text)?;
            if text.len() >= CHUNK_BYTES {
                return Ok(Found::Text(text));
            }
            if !more && self.segment >= last {
                return Ok(if text.is_empty() { Found::End } else { Found::Text(text) });
            }
            if !more {
                self.segment += 1;
                self.file = None;
            }
        }
    }

    /// Reads entries of the open file until there are enough; false: the file is at its end.
    fn read_entries(&mut self, text: &mut Vec<u8>) -> io::Result<bool> {
        let Some(mut file) = self.file.take() else { return Ok(false) };
        while text.len() < CHUNK_BYTES {
            if file.read_until(b'\n', &mut self.partial)? == 0 || self.partial.last() != Some(&b'\n') {
                self.file = Some(file);
                return Ok(false);
            }
            let entry = std::mem::take(&mut self.partial);
            self.show(&entry[..entry.len() - 1], text);
        }
        self.file = Some(file);
        Ok(true)
    }

    fn show(&mut self, entry: &[u8], text: &mut Vec<u8>) {
        let Some(entry) = line::parse(entry).filter(|entry| self.is_wanted(entry)) else { return };
        if self.skip > 0 {
            self.skip -= u64::from(entry.complete);
            return;
        }
        if self.options.timestamps && self.at_line_start {
            text.extend_from_slice(entry.time);
            text.push(b' ');
        }
        text.extend_from_slice(entry.text);
        if entry.complete {
            text.push(b'\n');
        }
        self.at_line_start = entry.complete;
    }
}

fn segments(dir: &Path, run: u32) -> io::Result<Vec<u64>> {
    Ok(files(dir)?.into_iter().filter(|(name, _)| name.run == run).map(|(name, _)| name.segment).collect())
}

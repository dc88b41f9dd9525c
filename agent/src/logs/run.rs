//! The log of one run of a container: what waits for the disk, and the files.

use super::line::{self, Splitter};
use super::writer::Writer;
use super::{PENDING_BYTES, RATE_BYTES_PER_SECOND, SEGMENT_BYTES, SEGMENTS_PER_RUN};
use crate::runtime::LogSink;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How far the files have come: what readers wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) segment: u64,
    pub(super) written_bytes: u64,
    pub(super) ended: bool,
}

/// One run.
pub(super) struct Run {
    pub(super) number: u32,
    dir: PathBuf,
    buffer: Mutex<Buffer>,
    file: Mutex<Segment>,
    progress: watch::Sender<Progress>,
}

/// Entries on their way to the disk.
#[derive(Default)]
struct Buffer {
    pending: Vec<u8>,
    /// Whether the writer thread has been told.
    queued: bool,
    ended: bool,
    waiting: Vec<Waker>,
}

/// The open file and the allowance of the run's rate.
struct Segment {
    file: File,
    size_bytes: u64,
    allowance_bytes: u64,
    refilled: Instant,
}

/// A file of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    pub(super) run: u32,
    pub(super) segment: u64,
}

impl FileName {
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.{}.log", self.run, self.segment))
    }

    fn parse(name: &str) -> Option<FileName> {
        let (run, segment) = name.strip_suffix(".log")?.split_once('.')?;
        Some(FileName { run: run.parse().ok()?, segment: segment.parse().ok()? })
    }
}

/// The files in a container's directory, in order; none if it does not exist.
pub(super) fn files(dir: &Path) -> io::Result<Vec<(FileName, PathBuf)>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().and_then(FileName::parse) {
            files.push((name, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

impl Run {
    pub(super) fn begin(dir: PathBuf, number: u32) -> io::Result<Run> {
        let file = File::create(FileName { run: number, segment: 0 }.path(&dir))?;
        let segment =
            Segment { file, size_bytes: 0, allowance_bytes: RATE_BYTES_PER_SECOND, refilled: Instant::now() };
        Ok(Run {
            number,
            dir,
            buffer: Mutex::default(),
            file: Mutex::new(segment),
            progress: watch::Sender::default(),
        })
    }

    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Writes out what waits. Gives the time after which to come again for the rest, if the rate is used up. The disk's
    /// errors end the log, not the container.
    pub(super) fn flush(&self) -> Option<Duration> {
        let mut segment = self.file.lock();
        segment.refill();
        if segment.allowance_bytes == 0 {
            return Some(Duration::from_millis(100));
        }
        let (pending, ended, waiting) = {
            let mut buffer = self.buffer.lock();
            buffer.queued = false;
            (std::mem::take(&mut buffer.pending), buffer.ended, std::mem::take(&mut buffer.waiting))
        };
        waiting.into_iter().for_each(Waker::wake);
        segment.allowance_bytes = segment.allowance_bytes.saturating_sub(pending.len() as u64);
        let mut progress = *self.progress.borrow();
        let written = segment.file.write_all(&pending);
        segment.size_bytes += pending.len() as u64;
        progress.written_bytes += pending.len() as u64;
        if written.is_ok() && segment.size_bytes >= SEGMENT_BYTES && !ended {
            self.rotate(&mut segment, &mut progress);
        }
        progress.ended = ended;
        if let Err(error) = written {
            tracing::warn!(dir = %self.dir.display(), %error, "a log could not be written");
        }
        self.progress.send_replace(progress);
        None
    }

    fn rotate(&self, segment: &mut Segment, progress: &mut Progress) {
        let name = |segment| FileName { run: self.number, segment }.path(&self.dir);
        match File::create(name(progress.segment + 1)) {
            Ok(file) => {
                *segment = Segment { file, size_bytes: 0, ..*segment };
                progress.segment += 1;
                if let Some(old) = progress.segment.checked_sub(SEGMENTS_PER_RUN) {
                    let _ = std::fs::remove_file(name(old));
                }
            }
            Err(error) => tracing::warn!(dir = %self.dir.display(), %error, "a log could not be rotated"),
        }
    }
}

impl Segment {
    fn refill(&mut self) {
        let gained = (RATE_BYTES_PER_SECOND as f64 * self.refilled.elapsed().as_secs_f64()) as u64;
        if gained > 0 {
            self.refilled = Instant::now();
            self.allowance_bytes = (self.allowance_bytes + gained).min(RATE_BYTES_PER_SECOND);
        }
    }
}

/// The writing end of a run's log.
#[derive(Clone)]
pub(crate) struct RunLog {
    run: Arc<Run>,
    writer: Writer,
    streams: [Arc<Stream>; 2],
}

impl RunLog {
    pub(super) fn new(run: Arc<Run>, writer: Writer) -> RunLog {
        let stream = |name| {
            let splitter = Mutex::default();
            Arc::new(Stream { name, run: run.clone(), writer: writer.clone(), splitter })
        };
        RunLog { streams: [stream("stdout"), stream("stderr")], run, writer }
    }

    /// Where standard output goes.
    pub(crate) fn stdout(&self) -> Arc<dyn LogSink> {
        self.streams[0].clone()
    }

    /// Where standard error goes.
    pub(crate) fn stderr(&self) -> Arc<dyn LogSink> {
        self.streams[1].clone()
    }

    /// The container has ended: what is left of its last line is written, and followers come to their end.
    pub(crate) fn end(&self) {
        for stream in &self.streams {
            stream.splitter.lock().finish(|text, complete| stream.enter(text, complete));
        }
        self.run.buffer.lock().ended = true;
        self.writer.wake(&self.run);
    }
}

/// One of the two streams.
struct Stream {
    name: &'static str,
    run: Arc<Run>,
    writer: Writer,
    splitter: Mutex<Splitter>,
}

impl Stream {
    fn enter(&self, text: &[u8], complete: bool) {
        line::append(&mut self.run.buffer.lock().pending, Timestamp::now(), self.name, complete, text);
    }
}

impl LogSink for Stream {
    fn write(&self, bytes: &[u8]) {
        self.splitter.lock().push(bytes, |text, complete| self.enter(text, complete));
        let mut buffer = self.run.buffer.lock();
        let tell = !buffer.queued && !buffer.pending.is_empty();
        buffer.queued |= tell;
        drop(buffer);
        if tell {
            self.writer.wake(&self.run);
        }
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut buffer = self.run.buffer.lock();
        if buffer.pending.len() < PENDING_BYTES || buffer.ended {
            return Poll::Ready(());
        }
        if !buffer.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            buffer.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}

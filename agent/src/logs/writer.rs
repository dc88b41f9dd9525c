//! The one thread that writes logs to the disk. It sleeps while nobody logs.

use super::run::Run;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Tells the thread that a run has something to write. The queue holds each run once at most.
#[derive(Clone)]
pub(super) struct Writer(Sender<Arc<Run>>);

impl Writer {
    pub(super) fn start() -> io::Result<Writer> {
        let (sender, receiver) = channel();
        std::thread::Builder::new().name("log-writer".into()).spawn(move || write(&receiver))?;
        Ok(Writer(sender))
    }

    pub(super) fn wake(&self, run: &Arc<Run>) {
        // The thread ends with the last sender only.
        let _ = self.0.send(run.clone());
    }
}

fn write(runs: &Receiver<Arc<Run>>) {
    let mut later: Vec<(Instant, Arc<Run>)> = Vec::new();
    loop {
        let next = later.iter().map(|(at, _)| *at).min();
        let received = match next {
            Some(at) => runs.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => runs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let due = |(at, _): &mut (Instant, Arc<Run>)| *at <= Instant::now();
        let mut ready: Vec<Arc<Run>> = later.extract_if(.., due).map(|(_, run)| run).collect();
        match received {
            Ok(run) => ready.push(run),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        for run in ready {
            if let Some(delay) = run.flush() {
                later.push((Instant::now() + delay.max(Duration::from_millis(1)), run));
            }
        }
    }
}

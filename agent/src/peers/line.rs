//! A connection that is opened when it is needed, shared, and opened again after it was lost; a failure is remembered.

use super::Stream;
use crate::api::Retry;
use crate::network::Channel;
use parking_lot::Mutex;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a connection may take, handshake included.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// The way to one peer.
pub(super) struct Line {
    runtime: Handle,
    phase: Arc<watch::Sender<Phase>>,
    retry: Arc<Mutex<Retry>>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Clone)]
enum Phase {
    Closed { not_before: Instant, why: String },
    Dialling,
    Open(Channel),
}

impl Line {
    /// A line that is not open. After a failure the next attempt waits, at first and at most as long as `retry` says.
    pub(super) fn new(runtime: Handle, retry: (Duration, Duration)) -> Line {
        let phase = Phase::Closed { not_before: Instant::now(), why: String::new() };
        Line {
            runtime,
            phase: Arc::new(watch::Sender::new(phase)),
            retry: Arc::new(Mutex::new(Retry::new(retry.0, retry.1))),
            tasks: Mutex::default(),
        }
    }

    /// The channel, opened by `dial` if there is none. The attempt goes on when `patience` is over. Errors: it has not
    /// been opened, now or when it was tried last.
    pub(super) async fn channel<D>(
        &self,
        dial: impl FnOnce() -> D,
        patience: Duration,
    ) -> Result<Channel, String>
    where
        D: Future<Output = io::Result<Box<dyn Stream>>> + Send + 'static,
    {
        if self.begin() {
            let opening = open(dial(), self.phase.clone(), self.retry.clone());
            let mut tasks = self.tasks.lock();
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(opening, &self.runtime);
        }
        let mut phase = self.phase.subscribe();
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Dialling));
        let settled =
            tokio::time::timeout(patience, settled).await.map(|phase| phase.map(|phase| phase.clone()));
        match settled {
            Ok(Ok(Phase::Open(channel))) => Ok(channel),
            Ok(Ok(Phase::Closed { why, .. })) => Err(why),
            _ => Err("it is still being tried".into()),
        }
    }

    /// Whether the caller is the one that has to dial.
    fn begin(&self) -> bool {
        self.phase.send_if_modified(|phase| {
            let begins = match phase {
                Phase::Closed { not_before, .. } => Instant::now() >= *not_before,
                Phase::Dialling => false,
                Phase::Open(channel) => channel.is_closed(),
            };
            if begins {
                *phase = Phase::Dialling;
            }
            begins
        })
    }

    /// The channel is of no use, though it may look open. Streams on it go on.
    pub(super) fn fail(&self, why: &str) {
        fail(&self.phase, &self.retry, why);
    }
}

fn fail(phase: &watch::Sender<Phase>, retry: &Mutex<Retry>, why: &str) {
    let not_before = Instant::now() + retry.lock().delay();
    phase.send_replace(Phase::Closed { not_before, why: why.into() });
}

async fn open(
    dial: impl Future<Output = io::Result<Box<dyn Stream>>>,
    phase: Arc<watch::Sender<Phase>>,
    retry: Arc<Mutex<Retry>>,
) {
    let dialled = async { Channel::over(dial.await?).await.map_err(io::Error::other) };
    let dialled = tokio::time::timeout(DIAL_WITHIN, dialled)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    match dialled {
        Ok((channel, connection)) => {
            retry.lock().reset();
            phase.send_replace(Phase::Open(channel));
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection for pod traffic was lost");
            }
        }
        Err(error) => fail(&phase, &retry, &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const LONG: Duration = Duration::from_secs(3600);

    /// A peer that speaks HTTP/2 for as long as its end is held.
    fn peer(ends: &Arc<Mutex<Vec<tokio::task::JoinHandle<()>>>>) -> Box<dyn Stream> {
        let (near, far) = tokio::io::duplex(1 << 16);
        let fabric =
            crate::network::Fabric::new(crate::network::FabricConfig::new(vec![], [192, 0, 2, 1].into()));
        let service = crate::network::PodService::new(fabric, crate::network::Asker::Server);
        ends.lock().push(tokio::spawn(async move {
            let _ = crate::network::serve_pods(far, service).await;
        }));
        Box::new(near)
    }

    #[tokio::test]
    async fn one_connection_is_shared_and_made_again_when_it_is_lost() {
        let (line, ends) = (Line::new(Handle::current(), (LONG, LONG)), Arc::default());
        let dials = AtomicUsize::new(0);
        let dial = || {
            dials.fetch_add(1, Ordering::Relaxed);
            let stream = peer(&ends);
            async move { Ok(stream) }
        };
        let (one, two) = tokio::join!(line.channel(dial, LONG), line.channel(dial, LONG));
        let channel = one.unwrap();
        two.unwrap();
        assert_eq!(dials.load(Ordering::Relaxed), 1);
        ends.lock().pop().unwrap().abort();
        while !channel.is_closed() {
            tokio::task::yield_now().await;
        }
        line.channel(dial, LONG).await.unwrap();
        assert_eq!(dials.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_failure_is_remembered_and_a_slow_peer_not_waited_for() {
        let line = Line::new(Handle::current(), (LONG, LONG));
        let refused = || async { Err(io::Error::other("nobody there")) };
        assert_eq!(line.channel(refused, LONG).await.err().unwrap(), "nobody there");
        let again = || async { panic!("it is too soon") };
        assert_eq!(line.channel(again, LONG).await.err().unwrap(), "nobody there");

        let (line, ends) = (Line::new(Handle::current(), (LONG, LONG)), Arc::default());
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let slow = peer(&ends);
        let slow = || async move {
            let _ = gone.await;
            Ok(slow)
        };
        assert!(line.channel(slow, Duration::ZERO).await.is_err());
        go.send(()).unwrap();
        let twice = || async { panic!("it is being tried already") };
        line.channel(twice, LONG).await.unwrap();
        line.fail("no answer");
        let twice = || async { panic!("it is too soon") };
        assert_eq!(line.channel(twice, LONG).await.err().unwrap(), "no answer");
    }
}

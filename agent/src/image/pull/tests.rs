use super::*;
use crate::image::MAX_IMAGE_BYTES;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[derive(Default)]
struct Shelf {
    closed: std::sync::atomic::AtomicBool,
    images: Mutex<HashMap<String, Bytes>>,
    manifests_asked: AtomicUsize,
    blobs_asked: AtomicUsize,
    /// Bytes given instead of the right ones.
    forged: Mutex<Option<Bytes>>,
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

#[async_trait]
impl ImageSource for Shelf {
    async fn manifest(&self, name: &ImageName) -> Result<Manifest, ImageError> {
        self.manifests_asked.fetch_add(1, SeqCst);
        if self.closed.load(SeqCst) {
            return Err(ImageError::new(ImageError::REGISTRY_UNAVAILABLE, "nobody answers"));
        }
        let images = self.images.lock();
        let bytes = images
            .get(&name.to_string())
            .ok_or_else(|| ImageError::new(ImageError::ERR_IMAGE_PULL, format!("{name}: not found")))?;
        Ok(Manifest { digest: digest(bytes), size_bytes: bytes.len() as u64 })
    }

    async fn blob(
        &self,
        _name: &ImageName,
        wanted: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, ImageError>>, ImageError> {
        self.blobs_asked.fetch_add(1, SeqCst);
        let right = self.images.lock().values().find(|bytes| digest(bytes) == wanted).cloned();
        let bytes = self.forged.lock().clone().or(right).unwrap();
        let halves = [bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..)];
        Ok(stream::iter(halves.map(Ok)).boxed())
    }
}

struct Bench {
    dir: tempfile::TempDir,
    shelf: Arc<Shelf>,
    puller: Puller,
}

impl Bench {
    fn new(images: &[(&str, &'static [u8])]) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Arc::new(Shelf::default());
        for (name, bytes) in images {
            shelf.images.lock().insert((*name).into(), Bytes::from_static(bytes));
        }
        let store = Arc::new(ImageStore::open(dir.path()).unwrap());
        let puller = Puller::new(store, shelf.clone());
        Bench { dir, shelf, puller }
    }

    fn asked(&self) -> (usize, usize) {
        (self.shelf.manifests_asked.load(SeqCst), self.shelf.blobs_asked.load(SeqCst))
    }
}

#[tokio::test]
async fn an_image_is_fetched_once_and_survives_a_restart() {
    let bench = Bench::new(&[("hello:latest", b"code")]);
    let pulled = bench.puller.pull("hello", PullPolicy::IfNotPresent, None).await.unwrap();
    assert!(pulled.asked);
    assert_eq!(std::fs::read(&pulled.image.path).unwrap(), b"code");
    assert!(!bench.puller.pull("hello", PullPolicy::IfNotPresent, None).await.unwrap().asked);
    assert_eq!(bench.asked(), (1, 1));

    let reopened = ImageStore::open(bench.dir.path()).unwrap();
    assert_eq!(reopened.get(&ImageName::parse("hello:latest").unwrap()), Some(pulled.image.clone()));
    let by_digest = format!("hello@{}", pulled.image.digest);
    assert_eq!(bench.puller.pull(&by_digest, PullPolicy::Never, None).await.unwrap().image, pulled.image);
}

#[tokio::test]
async fn always_asks_for_the_name_but_fetches_only_new_bytes() {
    let bench = Bench::new(&[("hello:latest", b"one")]);
    let first = bench.puller.pull("hello", PullPolicy::Always, None).await.unwrap();
    bench.puller.pull("hello", PullPolicy::Always, None).await.unwrap();
    assert_eq!(bench.asked(), (2, 1));
    bench.shelf.images.lock().insert("hello:latest".into(), Bytes::from_static(b"two"));
    let second = bench.puller.pull("hello", PullPolicy::Always, None).await.unwrap();
    assert_ne!(first.image.digest, second.image.digest);
    assert_eq!(bench.asked(), (3, 2));
}

#[tokio::test]
async fn fifty_pods_share_one_pull() {
    let bench = Bench::new(&[("hello:latest", b"code"), ("hallo:latest", b"code")]);
    let pulls = (0..50).map(|n| {
        bench.puller.pull(if n % 2 == 0 { "hello" } else { "hallo" }, PullPolicy::IfNotPresent, None)
    });
    for pulled in futures_util::future::join_all(pulls).await {
        pulled.unwrap();
    }
    assert_eq!(bench.asked(), (2, 1));
}

#[tokio::test]
async fn forged_bytes_are_refused_and_leave_nothing() {
    let bench = Bench::new(&[("hello:latest", b"code")]);
    for (forged, why) in [("evil", "digest"), ("longer", "longer than"), ("no", "ended after 2 of 4 bytes")] {
        *bench.shelf.forged.lock() = Some(Bytes::from(forged));
        let error = bench.puller.pull("hello", PullPolicy::Always, None).await.unwrap_err();
        assert_eq!(error.reason, "ErrImagePull");
        assert!(error.message.contains(why), "{}", error.message);
    }
    let left = std::fs::read_dir(bench.dir.path().join("blobs/sha256")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn errors_are_worded_as_kubelet_words_them() {
    let bench = Bench::new(&[]);
    let error = bench.puller.pull("hello", PullPolicy::Never, None).await.unwrap_err();
    assert_eq!(error.reason, "ErrImageNeverPull");
    assert_eq!(error.message, "Container image \"hello\" is not present with pull policy of Never");
    let error = bench.puller.pull("hello", PullPolicy::Always, None).await.unwrap_err();
    assert_eq!(error.reason, "ErrImagePull");
    assert_eq!(error.message, "failed to pull image \"hello\": hello:latest: not found");
    assert_eq!(
        bench.puller.pull("He llo", PullPolicy::Always, None).await.unwrap_err().reason,
        "InvalidImageName"
    );
}

#[tokio::test]
async fn an_image_beyond_the_limit_is_not_fetched() {
    let bench = Bench::new(&[]);
    let flight = SingleFlight::default().enter("x").await;
    let manifest = Manifest { digest: digest(b""), size_bytes: MAX_IMAGE_BYTES + 1 };
    let error = bench.puller.store().put(&flight, &manifest, stream::empty()).await.unwrap_err();
    assert!(error.message.contains("more than the limit"));
}

#[tokio::test]
async fn pruning_keeps_what_is_named() {
    let bench = Bench::new(&[("a:latest", b"aaaa"), ("b:latest", b"bb")]);
    let kept = bench.puller.pull("a", PullPolicy::Always, None).await.unwrap();
    bench.puller.pull("b", PullPolicy::Always, None).await.unwrap();
    let freed = bench.puller.store().prune(&HashSet::from([kept.image.digest.clone()])).unwrap();
    assert_eq!(freed, 2);
    assert!(bench.puller.store().get(&ImageName::parse("a").unwrap()).is_some());
    assert!(bench.puller.store().get(&ImageName::parse("b").unwrap()).is_none());
}

#[tokio::test]
async fn a_container_that_has_run_goes_on_while_the_registry_is_away() {
    let bench = Bench::new(&[("hello:latest", b"\0asm one")]);
    let first = bench.puller.pull("hello", PullPolicy::Always, None).await.unwrap();
    let digest = first.image.digest.clone();
    bench.shelf.closed.store(true, SeqCst);
    let again = bench.puller.pull("hello", PullPolicy::Always, Some(&digest)).await.unwrap();
    assert_eq!((again.image, again.asked), (first.image, false));
    for last in [None, Some("sha256:00")] {
        let error = bench.puller.pull("hello", PullPolicy::Always, last).await.unwrap_err();
        assert_eq!(error.reason, "RegistryUnavailable");
        assert_eq!(error.message, "failed to pull image \"hello\": nobody answers");
    }
}

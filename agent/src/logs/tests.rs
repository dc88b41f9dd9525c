use super::*;
use futures_util::TryStreamExt;
use jiff::Timestamp;

async fn text(logs: &PodLogs, options: LogOptions) -> String {
    let stream = read(logs, "main", options).unwrap().expect("a run");
    let chunks: Vec<bytes::Bytes> = stream.try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

fn following() -> LogOptions {
    LogOptions { follow: true, ..LogOptions::default() }
}

fn pod(dir: &Path) -> PodLogs {
    Directory::new().unwrap().open("default", "web", "uid", dir).unwrap()
}

#[tokio::test]
async fn lines_come_back_split_joined_and_tailed() {
    let dir = tempfile::tempdir().unwrap();
    let logs = pod(dir.path());
    let run = logs.begin("main", 0).unwrap();
    run.stdout().write(b"one\ntw");
    run.stderr().write(b"error\n");
    run.stdout().write(b"o\nno line feed");
    run.end();
    assert_eq!(text(&logs, following()).await, "one\nerror\ntwo\nno line feed\n");
    let tail = LogOptions { tail_lines: Some(2), ..LogOptions::default() };
    assert_eq!(text(&logs, tail).await, "two\nno line feed\n");
    let limit = LogOptions { limit_bytes: Some(5), ..LogOptions::default() };
    assert_eq!(text(&logs, limit).await, "one\ne");
    let stamped = text(&logs, LogOptions { timestamps: true, ..LogOptions::default() }).await;
    assert!(stamped.lines().all(|line| line.starts_with("20") && line.contains("Z ")), "{stamped}");
    let future = Timestamp::now() + std::time::Duration::from_secs(60);
    assert_eq!(text(&logs, LogOptions { since: Some(future), ..LogOptions::default() }).await, "");
}

#[tokio::test]
async fn a_follower_sees_what_comes_and_ends_with_the_container() {
    let dir = tempfile::tempdir().unwrap();
    let logs = pod(dir.path());
    let run = logs.begin("main", 0).unwrap();
    let mut stream = Box::pin(read(&logs, "main", following()).unwrap().unwrap());
    run.stdout().write(b"first\n");
    assert_eq!(stream.try_next().await.unwrap().unwrap(), "first\n");
    run.stdout().write(b"second\n");
    assert_eq!(stream.try_next().await.unwrap().unwrap(), "second\n");
    run.end();
    assert!(stream.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn the_run_before_is_kept_and_no_older_one() {
    let dir = tempfile::tempdir().unwrap();
    let logs = pod(dir.path());
    for number in 0..3 {
        let run = logs.begin("main", number).unwrap();
        run.stdout().write(format!("run {number}\n").as_bytes());
        run.end();
        assert_eq!(text(&logs, following()).await, format!("run {number}\n"));
    }
    let previous = LogOptions { previous: true, ..LogOptions::default() };
    assert_eq!(text(&logs, previous).await, "run 1\n");
    assert_eq!(run::files(&dir.path().join("main")).unwrap().len(), 2);
    // What an earlier process wrote is there for the next.
    assert_eq!(text(&pod(dir.path()), LogOptions::default()).await, "run 2\n");
    assert!(read(&logs, "other", LogOptions::default()).unwrap().is_none());
}

#[tokio::test]
async fn files_rotate_and_a_reader_goes_through_them() {
    let dir = tempfile::tempdir().unwrap();
    let logs = pod(dir.path());
    let run = logs.begin("main", 0).unwrap();
    let line = [b'x'; 1023];
    let (sink, mut lines) = (run.stdout(), 0u64);
    while run::files(&dir.path().join("main")).unwrap().len() < 2 {
        std::future::poll_fn(|context| sink.poll_ready(context)).await;
        sink.write(&line);
        sink.write(b"\n");
        lines += 1;
    }
    run.end();
    assert_eq!(text(&logs, following()).await.lines().count() as u64, lines);
}

#[tokio::test]
async fn long_lines_are_whole_again_when_read() {
    let dir = tempfile::tempdir().unwrap();
    let logs = pod(dir.path());
    let run = logs.begin("main", 0).unwrap();
    let long = "y".repeat(3 * line::LINE_BYTES + 5);
    run.stdout().write(format!("{long}\nshort\n").as_bytes());
    run.end();
    assert_eq!(text(&logs, following()).await, format!("{long}\nshort\n"));
}

//! Commands: exits, traps, arguments, files, streams, stop and kill.

use super::*;

#[tokio::test]
async fn exits_carry_their_code() {
    let bench = Bench::new();
    assert_eq!(bench.run(&command("")).await, Exit::exited(0));
    assert_eq!(bench.run(&command("(call $exit (i32.const 0))")).await.reason, "Completed");
    let exit = bench.run(&command("(call $exit (i32.const 42))")).await;
    assert_eq!((exit.code, exit.reason, exit.signal), (42, "Error", None));
}

#[tokio::test]
async fn a_trap_tells_what_and_where() {
    let bench = Bench::new();
    let text = r#"(module (func $inner unreachable) (func $outer (export "_start") (call $inner)))"#;
    let exit = bench.run(text).await;
    assert_eq!((exit.code, exit.reason), (134, "Error"));
    assert!(
        exit.message.starts_with("wasm trap: wasm `unreachable` instruction executed"),
        "{}",
        exit.message
    );
    assert!(exit.message.contains("inner") && exit.message.contains("outer"), "{}", exit.message);
    let exit = bench.run(&command("(drop (i32.load (i32.const -4)))")).await;
    assert!(exit.message.contains("out of bounds memory access"), "{}", exit.message);
    let exit = bench.run(r#"(module (func $f (export "_start") (call $f)))"#).await;
    assert!(exit.message.contains("call stack exhausted"), "{}", exit.message);
}

#[tokio::test]
async fn components_run_by_their_result() {
    let bench = Bench::new();
    for (result, code) in [(0, 0), (1, 1)] {
        let text = format!(
            r#"(component
                (core module $m (func (export "f") (result i32) i32.const {result}))
                (core instance $i (instantiate $m))
                (func $f (result (result)) (canon lift (core func $i "f")))
                (instance $run (export "run" (func $f)))
                (export "wasi:cli/run@0.2.3" (instance $run)))"#
        );
        assert_eq!(bench.run(&text).await, Exit::exited(code));
    }
}

#[tokio::test]
async fn arguments_and_environment_arrive() {
    let bench = Bench::new();
    let (stdout, stderr) = (Arc::new(Capture::default()), Arc::new(Capture::default()));
    let text = command(
        "(drop (call $args (i32.const 1024) (i32.const 2048)))
         (call $print (i32.const 1) (i32.const 2048) (i32.const 13))
         (drop (call $environ (i32.const 1024) (i32.const 4096)))
         (call $print (i32.const 2) (i32.const 4096) (i32.const 8))",
    );
    let container = bench
        .start(&text, |spec| {
            spec.args = ["main", "one", "two"].map(String::from).into();
            spec.env = vec![("A".into(), "1".into()), ("B".into(), "2".into())];
            spec.stdout = stdout.clone();
            spec.stderr = stderr.clone();
        })
        .await;
    assert_eq!(container.wait().await, Exit::exited(0));
    assert_eq!(stdout.text(), "main\0one\0two\0");
    assert_eq!(stderr.text(), "A=1\0B=2\0");
}

/// A component that succeeds if it is told an initial directory of `length` bytes.
fn is_told_a_directory(length: usize) -> String {
    format!(
        r#"(component
            (import "wasi:cli/environment@0.2.3" (instance $environment
              (export "initial-cwd" (func (result (option string))))))
            (core module $libc
              (memory (export "memory") 1)
              (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
            (core instance $libc (instantiate $libc))
            (core func $cwd (canon lower (func $environment "initial-cwd")
              (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
            (core module $m
              (import "" "memory" (memory 1))
              (import "" "cwd" (func $cwd (param i32)))
              (func (export "f") (result i32)
                (call $cwd (i32.const 16))
                (i32.ne (i32.load (i32.const 24)) (i32.const {length}))))
            (core instance $i (instantiate $m (with "" (instance
              (export "memory" (memory $libc "memory")) (export "cwd" (func $cwd))))))
            (func $f (result (result)) (canon lift (core func $i "f")))
            (instance $run (export "run" (func $f)))
            (export "wasi:cli/run@0.2.3" (instance $run)))"#
    )
}

#[tokio::test]
async fn a_component_is_told_its_working_directory() {
    let bench = Bench::new();
    let run = async |length, dir: Option<&str>| {
        let working_dir = dir.map(String::from);
        bench
            .start(&is_told_a_directory(length), |spec| spec.working_dir = working_dir)
            .await
            .wait()
            .await
            .code
    };
    assert_eq!(run(9, Some("/srv/shop")).await, 0);
    assert_eq!(run(9, None).await, 1);
}

/// Opens hello.txt in the first mount with the rights and flags given, and exits with the error number.
fn opener(create: i32, rights: u64) -> String {
    command(&format!(
        "(call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 512) (i32.const 9) (i32.const {create})
           (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 24)))"
    ))
}

#[tokio::test]
async fn mounts_are_as_writable_as_they_say() {
    const FD_WRITE: u64 = 64;
    let bench = Bench::new();
    let dir = bench.dir.path().join("volume");
    std::fs::create_dir(&dir).unwrap();
    let run = async |text: &str, read_only| {
        let mount = Mount { host: dir.clone(), guest: "/data".into(), read_only };
        bench.start(text, |spec| spec.mounts.push(mount)).await.wait().await.code
    };
    assert_ne!(run(&opener(1, FD_WRITE), true).await, 0);
    assert!(!dir.join("hello.txt").exists());
    assert_eq!(run(&opener(1, FD_WRITE), false).await, 0);
    assert!(dir.join("hello.txt").exists());
    assert_eq!(run(&opener(0, 2), true).await, 0);
}

#[tokio::test]
async fn a_mount_that_is_not_there_is_a_start_error() {
    let bench = Bench::new();
    let mount = Mount { host: "/no/such/dir".into(), guest: "/data".into(), read_only: true };
    let container = bench.start(&command(""), |spec| spec.mounts.push(mount)).await;
    let exit = container.wait().await;
    assert_eq!((exit.code, exit.reason), (128, "StartError"));
    assert!(exit.message.starts_with("cannot mount /no/such/dir at /data"), "{}", exit.message);
    assert!(!container.started().await);
}

#[tokio::test]
async fn a_loop_is_killed() {
    let bench = Bench::new();
    let container = bench.start(&spinner(), |_| ()).await;
    assert!(container.started().await);
    assert!(container.is_running());
    container.kill();
    let exit = container.wait().await;
    assert_eq!((exit.code, exit.reason, exit.signal), (137, "Error", Some(9)));
    assert_eq!(container.exit(), Some(exit));
}

#[tokio::test]
async fn dropping_the_container_kills_it() {
    let bench = Bench::new();
    let container = bench.start(&spinner(), |_| ()).await;
    assert!(container.started().await);
    let clone = container.clone();
    drop(container);
    assert!(clone.is_running());
    drop(clone);
    bench.runtime.containers.close();
    bench.runtime.containers.wait().await;
}

#[tokio::test]
async fn a_sleeper_and_a_spinner_stop_at_once() {
    let bench = Bench::new();
    for text in [sleeper(), spinner()] {
        let container = bench.start(&text, |_| ()).await;
        assert!(container.started().await);
        container.stop();
        let exit = container.wait().await;
        assert_eq!((exit.code, exit.signal), (143, Some(15)));
    }
}

#[tokio::test]
async fn a_pod_that_serves_somebody_drains_until_it_is_killed() {
    let bench = Bench::new();
    let listener = bench.network.listen((Ipv4Addr::UNSPECIFIED, 7).into()).unwrap();
    let client = bench.dial(7).await;
    let served = listener.accept().await.unwrap();
    let container = bench.start(&sleeper(), |_| ()).await;
    assert!(container.started().await);
    container.stop();
    assert!(tokio::time::timeout(Duration::from_millis(30), container.wait()).await.is_err());
    drop((client, served));
    assert_eq!(container.wait().await.code, 143);
}

#[tokio::test]
async fn connections_among_the_containers_of_a_pod_keep_nothing_open() {
    let bench = Bench::new();
    let listener = bench.network.listen((Ipv4Addr::UNSPECIFIED, 7).into()).unwrap();
    let client = bench.network.connect((Ipv4Addr::LOCALHOST, 7).into()).await.unwrap();
    let served = listener.accept().await.unwrap();
    let container = bench.start(&sleeper(), |_| ()).await;
    assert!(container.started().await);
    container.stop();
    assert_eq!(container.wait().await.code, 143);
    drop((client, served));
}

/// Reads stdin and exits with 10 plus the number of bytes, 20 plus the error number on failure.
const STDIN_READER: &str = "(local $errno i32)
    (i32.store (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 20) (i32.const 100))
    (local.set $errno (call $read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24)))
    (if (local.get $errno) (then (call $exit (i32.add (i32.const 20) (local.get $errno)))))
    (call $exit (i32.add (i32.const 10) (i32.load (i32.const 24))))";

#[tokio::test]
async fn stdin_is_empty_unless_it_is_kept_open() {
    let bench = Bench::new();
    let text = command(STDIN_READER);
    assert_eq!(bench.run(&text).await.code, 10);
    // Held open by a connection, so that stop alone does not end the guest: the end of stdin does.
    let listener = bench.network.listen((Ipv4Addr::UNSPECIFIED, 7).into()).unwrap();
    let _held = (bench.dial(7).await, listener.accept().await.unwrap());
    let container = bench.start(&text, |spec| spec.stdin = true).await;
    assert!(container.started().await);
    assert_eq!(container.exit(), None);
    container.stop();
    assert_eq!(container.wait().await.code, 10);
}

#[tokio::test]
async fn two_hundred_run_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench { runtime: start_runtime(dir.path(), 256), ..Bench::new() };
    let program = bench.program(&sleeper()).await;
    let containers: Vec<_> =
        (0..200).map(|_| bench.runtime.start(program.clone(), spec(&bench.network))).collect();
    for container in &containers {
        assert!(container.started().await);
    }
    assert!(containers.iter().all(Container::is_running));
    containers.iter().for_each(Container::stop);
    for container in &containers {
        assert_eq!(container.wait().await.code, 143);
    }
}

#[tokio::test]
async fn shutdown_ends_whatever_runs() {
    let bench = Bench::new();
    let containers = [bench.start(&spinner(), |_| ()).await, bench.start(&sleeper(), |_| ()).await];
    for container in &containers {
        assert!(container.started().await);
    }
    bench.runtime.shutdown().await;
    for container in &containers {
        assert_eq!(container.wait().await.code, 137);
    }
}

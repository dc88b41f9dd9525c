//! From an image to a program: refusals, the cache, sharing.

use super::*;

async fn refusal(bench: &Bench, bytes: &[u8]) -> ImageError {
    bench.runtime.program(&bench.image(bytes)).await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_run_is_told_why() {
    let bench = Bench::new();
    let error = refusal(&bench, b"\x7fELF").await;
    assert_eq!(error.reason, "CreateContainerError");
    assert!(error.message.contains("native ELF program"));
    let error = refusal(&bench, b"(module (func (export \"_start\") i32.const 1))").await;
    assert!(error.message.contains("does not compile"), "{}", error.message);
}

#[tokio::test]
async fn missing_imports_are_all_named() {
    let bench = Bench::new();
    let text = r#"(module
        (import "env" "first" (func (param i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (import "env" "second" (func))
        (func (export "_start")))"#;
    let error = refusal(&bench, text.as_bytes()).await;
    assert!(
        error.message.contains("imports what is not granted: env::first, env::second. "),
        "{}",
        error.message
    );
    let text = r#"(component
        (import "acme:lamp/switch@1.0.0" (instance (export "on" (func))))
        (import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result u64)))))
        (core module $m (func (export "f") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $f (result (result)) (canon lift (core func $i "f")))
        (instance $run (export "run" (func $f)))
        (export "wasi:cli/run@0.2.3" (instance $run)))"#;
    let error = refusal(&bench, text.as_bytes()).await;
    assert!(error.message.contains("not granted: acme:lamp/switch@1.0.0. "), "{}", error.message);
}

#[tokio::test]
async fn a_program_is_compiled_once_and_shared() {
    let bench = Bench::new();
    let image = bench.image(command("").as_bytes());
    let programs = (0..20).map(|_| bench.runtime.program(&image));
    let programs: Vec<_> =
        futures_util::future::join_all(programs).await.into_iter().map(Result::unwrap).collect();
    assert!(programs.iter().all(|program| Arc::ptr_eq(program, &programs[0])));
    assert_eq!(programs[0].world(), World::Preview1Command);
    assert_eq!(programs[0].digest(), image.digest);
}

fn cached(dir: &std::path::Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for version in std::fs::read_dir(dir.join("code")).unwrap().map(Result::unwrap) {
        let Ok(files) = std::fs::read_dir(version.path()) else { continue };
        found.extend(files.map(|file| file.unwrap().path()));
    }
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    found
}

#[tokio::test]
async fn the_cache_outlives_a_restart_and_tampered_code_is_compiled_again() {
    let bench = Bench::new();
    assert_eq!(bench.run(&command("(call $exit (i32.const 7))")).await.code, 7);
    let [code] = &*cached(bench.dir.path(), "cwasm") else { panic!("one file of code") };
    let compiled = std::fs::read(code).unwrap();
    let made = std::fs::metadata(code).unwrap().created().unwrap();
    bench.runtime.shutdown().await;

    let bench = Bench { runtime: start_runtime(bench.dir.path(), 64), ..bench };
    assert_eq!(bench.run(&command("(call $exit (i32.const 7))")).await.code, 7);
    assert_eq!(std::fs::metadata(code).unwrap().created().unwrap(), made);
    bench.runtime.shutdown().await;

    let mut tampered = compiled.clone();
    let middle = tampered.len() / 2;
    tampered[middle] ^= 1;
    std::fs::write(code, tampered).unwrap();
    let bench = Bench { runtime: start_runtime(bench.dir.path(), 64), ..bench };
    assert_eq!(bench.run(&command("(call $exit (i32.const 7))")).await.code, 7);
    assert_eq!(std::fs::read(code).unwrap(), compiled);
}

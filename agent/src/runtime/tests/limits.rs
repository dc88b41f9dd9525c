//! Limits: memory, CPU time, and instances.

use super::*;
use std::time::Instant;

/// Grows by 1 MiB at a time, for ever.
const BOMB: &str = "(loop $more (drop (memory.grow (i32.const 16))) (br $more))";

#[tokio::test]
async fn a_memory_bomb_is_oom_killed_and_its_neighbour_lives() {
    let bench = Bench::new();
    let neighbour = bench.start(&sleeper(), |_| ()).await;
    let limit_bytes = 16 << 20;
    let bomb = bench.start(&command(BOMB), |spec| spec.memory_limit_bytes = Some(limit_bytes)).await;
    let exit = bomb.wait().await;
    assert_eq!((exit.code, exit.reason, exit.signal), (137, "OOMKilled", Some(9)));
    assert!(bomb.memory().peak_bytes() <= limit_bytes && bomb.memory().peak_bytes() > limit_bytes / 2);
    assert!(neighbour.is_running());
}

#[tokio::test]
async fn a_module_larger_than_the_limit_is_oom_killed_before_it_runs() {
    let bench = Bench::new();
    let container = bench.start(&command(""), |spec| spec.memory_limit_bytes = Some(65536)).await;
    assert_eq!(container.wait().await.reason, "OOMKilled");
    assert!(!container.started().await);
}

#[tokio::test]
async fn memory_is_given_back() {
    let bench = Bench::new();
    let container = bench.start(&command("(drop (memory.grow (i32.const 16)))"), |_| ()).await;
    assert_eq!(container.wait().await.code, 0);
    assert_eq!((container.memory().held_bytes(), container.memory().peak_bytes()), (0, 18 * 65536));
}

#[tokio::test]
async fn a_limited_burner_gets_its_share_and_no_more() {
    let bench = Bench::new();
    let cpu = CpuAccount::new(Some(100));
    let began = Instant::now();
    let container = bench.start(&spinner(), |spec| spec.cpu = cpu.clone()).await;
    // Each period grants 10 ms. A slice may overdraw, by a lot if the kernel breaks it off; later periods pay that back.
    let usage = loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let usage = cpu.usage();
        let periods = began.elapsed().as_millis() / cpu::PERIOD.as_millis() + 1;
        let granted = Duration::from_millis(10) * u32::try_from(periods).unwrap();
        if usage.throttled_periods >= 3 && usage.used <= granted + Duration::from_millis(50) {
            break usage;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "{usage:?} in {periods} periods");
    };
    container.kill();
    container.wait().await;
    assert!(usage.used >= Duration::from_millis(30), "{usage:?}");
    assert!(usage.throttled > Duration::from_millis(100), "{usage:?}");
}

#[tokio::test]
async fn waiting_is_not_charged() {
    let bench = Bench::new();
    let (cpu, began) = (CpuAccount::unlimited(), Instant::now());
    let container =
        bench.start(&command("(call $nap (i64.const 50000000))"), |spec| spec.cpu = cpu.clone()).await;
    assert_eq!(container.wait().await.code, 0);
    let (used, passed) = (cpu.usage().used, began.elapsed());
    assert!(used + Duration::from_millis(50) <= passed, "{used:?} of {passed:?}");
}

#[tokio::test]
async fn burners_on_every_worker_leave_room_for_others() {
    let bench = Bench::new();
    let workers = std::thread::available_parallelism().unwrap().get();
    let mut burners = Vec::new();
    for _ in 0..2 * workers {
        burners.push(bench.start(&spinner(), |_| ()).await);
    }
    for burner in &burners {
        assert!(burner.started().await);
    }
    for _ in 0..5 {
        assert_eq!(bench.run(&command("(call $nap (i64.const 1000))")).await, Exit::exited(0));
    }
    assert!(burners.iter().all(Container::is_running));
}

#[tokio::test]
async fn the_pool_says_when_it_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench { runtime: start_runtime(dir.path(), 16), ..Bench::new() };
    let program = bench.program(&sleeper()).await;
    let full: Vec<_> = (0..16).map(|_| bench.runtime.start(program.clone(), spec(&bench.network))).collect();
    for container in &full {
        assert!(container.started().await);
    }
    let exit = bench.run(&sleeper()).await;
    assert_eq!(exit.reason, "StartError");
    assert!(exit.message.contains("no room for another instance"), "{}", exit.message);
}

#[tokio::test]
async fn what_does_not_fit_the_pool_runs_on_demand() {
    let bench = Bench::new();
    let tables = "(table 30000 funcref)".repeat(3);
    let text = format!(r#"(module {tables} (memory 1) (memory 1) (func (export "_start")))"#);
    assert_eq!(bench.run(&text).await, Exit::exited(0));
}

use peapod_agent::image::ResolvedImage;
use peapod_agent::network::{Fabric, FabricConfig, PodIdentity};
use peapod_agent::runtime::*;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
struct Out;
impl LogSink for Out {
    fn write(&self, b: &[u8]) {
        use std::io::Write;
        let _ = std::io::stdout().write_all(b);
    }
}
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Runtime::new(RuntimeConfig::new("/tmp/tmp-run-cache")).unwrap();
    let fabric = Fabric::new(FabricConfig::new(Vec::new(), IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1))));
    let network =
        fabric.attach(PodIdentity::new("default", "bench", "uid", IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2))));
    let rt = tokio::runtime::Runtime::new().unwrap();
    rt.block_on(async {
        let bytes = std::fs::read(&args[0]).unwrap();
        let digest = format!("sha256:{:x}", <sha2::Sha256 as sha2::Digest>::digest(&bytes));
        let t = std::time::Instant::now();
        let program = runtime
            .program(&ResolvedImage { digest, size_bytes: bytes.len() as u64, path: args[0].clone().into() })
            .await
            .unwrap();
        eprintln!("{program:?} {:?}", t.elapsed());
        let t = std::time::Instant::now();
        let c = runtime.start(
            program,
            ContainerSpec {
                pod_name: "a".into(),
                name: "b".into(),
                args: args.clone(),
                env: vec![],
                working_dir: None,
                mounts: vec![Mount { host: "/tmp/g".into(), guest: "/".into(), read_only: true }],
                memory_limit_bytes: None,
                cpu: CpuAccount::unlimited(),
                network,
                ports: vec![],
                stdin: false,
                stdout: Arc::new(Out),
                stderr: Arc::new(Out),
            },
        );
        let exit = c.wait().await;
        eprintln!("{exit:?} {:?} peak {} cpu {:?}", t.elapsed(), c.memory().peak_bytes(), c.cpu().usage());
        runtime.shutdown().await;
    });
}

//! The committed modules are what their sources say.

use peapod_tests::root;
use std::process::Command;

/// One in C is built anew and compared by what it imports and exports.
#[test]
fn a_committed_module_is_built_from_its_source() {
    let built = Command::new("sh").arg(root().join("modules/check.sh")).arg("echo").output().unwrap();
    let interface = String::from_utf8_lossy(&built.stdout);
    assert!(built.status.success(), "{interface}{}", String::from_utf8_lossy(&built.stderr));
    assert!(interface.contains("sock_accept"), "{interface}");
}

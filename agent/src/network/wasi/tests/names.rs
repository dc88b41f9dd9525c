//! Names, as a guest asks for them.

use super::*;
use crate::network::Tables;
use crate::network::wasi::bindings::wasi::sockets::ip_name_lookup::{
    Host as _, HostResolveAddressStream as _,
};

#[tokio::test]
async fn names_resolve() {
    let fabric = fabric();
    let mut tables = Tables::new();
    tables.add_name("web.default.svc.cluster.local", [IpAddr::from([10, 0, 9, 1])]);
    fabric.set_tables(Arc::new(tables));
    let mut guest = Guest::new(&fabric, 1);
    let network = guest.handle();
    let stream = guest.network().resolve_addresses(network, "web".into()).unwrap();
    let first = guest.network().resolve_next_address(again(&stream)).unwrap();
    assert!(matches!(first, Some(network::IpAddress::Ipv4((10, 0, 9, 1)))));
    assert!(guest.network().resolve_next_address(again(&stream)).unwrap().is_none());
    for (name, expected) in [
        ("nobody", ErrorCode::NameUnresolvable),
        ("a b", ErrorCode::InvalidArgument),
        ("example.com", ErrorCode::AccessDenied),
    ] {
        let network = guest.handle();
        assert_eq!(code(guest.network().resolve_addresses(network, name.into())), expected, "{name}");
    }
}

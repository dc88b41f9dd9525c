use super::*;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn server(names: &[&str]) -> Leaf {
    Leaf::Server { names: names.iter().map(|n| n.to_string()).collect() }
}

fn client(name: &str) -> Leaf {
    Leaf::Client { name: name.into(), group: "system:masters".into() }
}

#[test]
fn certificates_are_kept_until_names_change_or_the_end_is_near() {
    let directory = tempfile::tempdir().unwrap();
    let pki = Pki::open(directory.path(), now()).unwrap();
    let leaf = server(&["localhost", "127.0.0.1", "::1", "kubernetes.default.svc"]);
    let first = pki.pair("server", &leaf, now()).unwrap();
    let again = Pki::open(directory.path(), now()).unwrap();
    assert_eq!(again.ca_pem(), pki.ca_pem());
    assert_eq!(again.pair("server", &leaf, now()).unwrap(), first);
    assert_ne!(again.pair("server", &server(&["localhost"]), now()).unwrap(), first);
    let near_end = now() + Duration::days(340);
    let second = again.pair("server", &leaf, now()).unwrap();
    assert_ne!(again.pair("server", &leaf, near_end).unwrap(), second);
}

#[test]
fn a_certificate_of_another_authority_is_replaced_and_refused() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (ours, theirs) = (Pki::open(one.path(), now()).unwrap(), Pki::open(two.path(), now()).unwrap());
    let pair = theirs.pair("admin", &client("eve"), now()).unwrap();
    assert!(!client("eve").is_served_by(&pair, ours.ca_pem(), now()));
    let own = ours.pair("server", &server(&["localhost"]), now()).unwrap();
    let (_, judge) = acceptor(&ours, &own).unwrap();
    let chain = |pair: &Pair| vec![CertificateDer::from_pem_slice(pair.certificate_pem.as_bytes()).unwrap()];
    assert!(judge.verify(&chain(&pair)).is_err());
    let good = ours.pair("admin", &client("kubernetes-admin"), now()).unwrap();
    let proven = judge.verify(&chain(&good)).unwrap();
    assert_eq!(
        (proven.name.as_str(), proven.groups),
        ("kubernetes-admin", vec!["system:masters".to_string()])
    );
    assert!(proven.until > jiff::Timestamp::now());
    assert!(judge.verify(&chain(&own)).is_err(), "a server certificate is no client's");
}

#[test]
fn half_an_authority_is_refused_in_words() {
    let directory = tempfile::tempdir().unwrap();
    Pki::open(directory.path(), now()).unwrap();
    fs::remove_file(directory.path().join("ca.key")).unwrap();
    let error = Pki::open(directory.path(), now()).err().unwrap().to_string();
    assert!(error.contains("only one of ca.crt and ca.key"), "{error}");
}

#[test]
fn the_token_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.token");
    let token = admin_token(&path).unwrap();
    assert_eq!(token.len(), 64);
    assert_eq!(admin_token(&path).unwrap(), token);
    fs::write(&path, "").unwrap();
    assert!(admin_token(&path).is_err());
}

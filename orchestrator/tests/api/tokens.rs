//! Tokens of service accounts, as their users and their forgers send them.

use crate::client::{Answer, Client, World};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const WHO: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

async fn mint(admin: &mut Client, name: &str, spec: Value) -> String {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
    let answer = admin.create(&format!("{ACCOUNTS}/{name}/token"), &request).await;
    answer["status"]["token"].as_str().unwrap().to_string()
}

async fn account(admin: &mut Client, name: &str) {
    let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
    admin.create(ACCOUNTS, &object).await;
}

/// Who the holder of `token` is; the code if nobody.
async fn who(world: &World, token: &str) -> Result<Value, u16> {
    let mut client = world.connect().await;
    client.authorization = Some(format!("Bearer {token}"));
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = client.ask(Method::POST, WHO, &[], question.to_string()).await;
    match answer.status() {
        201 => Ok(answer.json()["status"]["userInfo"].clone()),
        code => Err(code),
    }
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn an_account_acts_by_its_token_as_long_as_it_lives() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    account(&mut admin, "robot").await;
    let token = mint(&mut admin, "robot", json!({})).await;
    let info = who(&world, &token).await.unwrap();
    assert_eq!(info["username"], "system:serviceaccount:default:robot");
    let groups = json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]);
    assert_eq!(info["groups"], groups);

    let mut robot = world.connect().await;
    robot.authorization = Some(format!("Bearer {token}"));
    assert_eq!(robot.get("/api/v1/namespaces/default/configmaps").await.status(), 403);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "robot"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
    admin.create("/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", &binding).await;
    assert_eq!(robot.get("/api/v1/namespaces/default/configmaps").await.status(), 200);

    drop((robot, admin));
    // The key is kept over a restart, and the account's name alone is not the account.
    world.plane.shutdown().await;
    let world = World::start_in(world.directory).await;
    let mut admin = world.admin().await;
    assert!(who(&world, &token).await.is_ok());
    assert_eq!(admin.ask(Method::DELETE, &format!("{ACCOUNTS}/robot"), &[], "").await.status(), 200);
    assert_eq!(who(&world, &token).await, Err(401));
    account(&mut admin, "robot").await;
    assert_eq!(who(&world, &token).await, Err(401), "another account of the same name");
}

#[tokio::test]
async fn forged_and_foreign_tokens_are_refused() {
    let (world, other) = (World::start().await, World::start().await);
    let (mut admin, mut foreign) = (world.admin().await, other.admin().await);
    account(&mut admin, "robot").await;
    account(&mut foreign, "robot").await;
    let token = mint(&mut admin, "robot", json!({})).await;
    let parts: Vec<&str> = token.split('.').collect();
    let mut risen = claims(&token);
    risen["sub"] = "system:serviceaccount:kube-system:default".into();
    risen["kubernetes.io"]["namespace"] = "kube-system".into();
    let mut later = claims(&token);
    later["exp"] = json!(9_999_999_999_i64);
    let bad = [
        ("another subject", format!("{}.{}.{}", parts[0], part(&risen), parts[2])),
        ("another end", format!("{}.{}.{}", parts[0], part(&later), parts[2])),
        ("alg none", format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), parts[1])),
        ("alg HS256", format!("{}.{}.{}", part(&json!({"alg": "HS256"})), parts[1], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("cut", token[..token.len() - 2].to_string()),
        ("of another cluster", mint(&mut foreign, "robot", json!({})).await),
        ("for others", mint(&mut admin, "robot", json!({"audiences": ["vault"]})).await),
        ("no token", "a.b.c".into()),
        ("much too long", format!("{}.{}.x", parts[0], "A".repeat(20_000))),
    ];
    for (what, token) in bad {
        assert_eq!(who(&world, &token).await, Err(401), "{what}");
    }
    assert!(who(&world, &token).await.is_ok());
}

#[tokio::test]
async fn tokens_are_bound_to_objects_and_audiences() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    account(&mut admin, "robot").await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    admin.create("/api/v1/namespaces/default/secrets", &secret).await;
    let spec = json!({"expirationSeconds": 600, "audiences": ["vault", "https://kubernetes.default.svc.cluster.local"],
        "boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "s"}});
    let token = mint(&mut admin, "robot", spec).await;
    assert_eq!(claims(&token)["kubernetes.io"]["secret"]["name"], "s");

    let review = |token: &str, audiences: Value| {
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences}})
    };
    let vault = admin.create(REVIEWS, &review(&token, json!(["vault", "x"]))).await["status"].clone();
    assert_eq!((&vault["authenticated"], &vault["audiences"]), (&json!(true), &json!(["vault"])));
    assert_eq!(vault["user"]["username"], "system:serviceaccount:default:robot");
    let own = admin.create(REVIEWS, &review(&token, Value::Null)).await["status"].clone();
    assert_eq!(own["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));
    for (token, audiences) in [(token.as_str(), json!(["elsewhere"])), ("nonsense", Value::Null)] {
        let status = admin.create(REVIEWS, &review(token, audiences)).await["status"].clone();
        assert!(status["authenticated"].is_null() && status["error"].is_string(), "{status}");
    }
    let empty = admin.ask(Method::POST, REVIEWS, &[], review("", Value::Null).to_string()).await;
    assert_eq!(empty.status(), 400);

    admin.ask(Method::DELETE, "/api/v1/namespaces/default/secrets/s", &[], "").await;
    assert_eq!(who(&world, &token).await, Err(401));
    let short = json!({"spec": {"expirationSeconds": 5}});
    let refused = admin.ask(Method::POST, &format!("{ACCOUNTS}/robot/token"), &[], short.to_string()).await;
    assert_eq!(refused.status(), 422);
    let absent = admin.ask(Method::POST, &format!("{ACCOUNTS}/absent/token"), &[], "{}").await;
    assert_eq!(absent.status(), 404);
}

#[tokio::test]
async fn a_token_can_be_kept_in_a_secret() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    account(&mut admin, "robot").await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "s", "annotations": {"kubernetes.io/service-account.name": "robot"}}});
    let path = "/api/v1/namespaces/default/secrets";
    admin.create(path, &secret).await;
    let mut filled = Value::Null;
    while filled["data"]["token"].is_null() {
        filled = admin.get(&format!("{path}/s")).await.json();
    }
    let decode = |field: &str| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(filled["data"][field].as_str().unwrap());
        String::from_utf8(bytes.unwrap()).unwrap()
    };
    assert_eq!(decode("namespace"), "default");
    assert!(decode("ca.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    let info = who(&world, &decode("token")).await.unwrap();
    assert_eq!(info["username"], "system:serviceaccount:default:robot");
    admin.ask(Method::DELETE, &format!("{ACCOUNTS}/robot"), &[], "").await;
    assert_eq!(who(&world, &decode("token")).await, Err(401));
    while admin.get(&format!("{path}/s")).await.status() != 404 {}
}

#[tokio::test]
async fn the_keys_are_published_to_accounts() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    account(&mut admin, "robot").await;
    let token = mint(&mut admin, "robot", json!({})).await;
    let mut robot = world.connect().await;
    assert_eq!(robot.get("/openid/v1/jwks").await.status(), 403);
    robot.authorization = Some(format!("Bearer {token}"));
    let found = robot.get("/.well-known/openid-configuration").await.json();
    assert_eq!(found["issuer"], claims(&token)["iss"]);
    assert_eq!(found["jwks_uri"], format!("https://{}/openid/v1/jwks", world.plane.address()));
    let keys = robot.get("/openid/v1/jwks").await;
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((&keys.json()["keys"][0]["kid"], &header["alg"]), (&header["kid"], &json!("ES256")));
}

#[tokio::test]
async fn a_session_ends_with_what_it_stands_for() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "actor"},
        "rules": [{"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}]});
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    admin.create(&format!("{rbac}/clusterroles"), &role).await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "actor"}, "subjects": [{"kind": "ServiceAccount", "namespace": "default", "name": "robot"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "actor"}});
    admin.create(&format!("{rbac}/clusterrolebindings"), &binding).await;
    account(&mut admin, "robot").await;
    let token = mint(&mut admin, "robot", json!({})).await;
    let own = session(&world, &token, &[]).await;
    let unused = code(&world, &token, &[]).await;
    let as_jane = session(&world, &token, &[("impersonate-user", "jane")]).await;
    assert_eq!(who(&world, &own).await.unwrap()["username"], "system:serviceaccount:default:robot");
    assert_eq!(who(&world, &as_jane).await.unwrap()["username"], "jane");

    let gone = admin.ask(Method::DELETE, &format!("{rbac}/clusterrolebindings/actor"), &[], "").await;
    assert_eq!(gone.status(), 200);
    assert_eq!(who(&world, &as_jane).await, Err(403), "robot may not act as jane any more");
    assert!(who(&world, &own).await.is_ok());
    assert_eq!(admin.ask(Method::DELETE, &format!("{ACCOUNTS}/robot"), &[], "").await.status(), 200);
    account(&mut admin, "robot").await;
    assert_eq!(who(&world, &own).await, Err(401), "another account of that name is another one");
    let late = begin(&world, &unused).await;
    assert_eq!(late.status(), 401, "{}", late.text());
}

async fn code(world: &World, token: &str, headers: &[(&str, &str)]) -> String {
    let mut client = world.connect().await;
    client.authorization = Some(format!("Bearer {token}"));
    let answer = client.ask(Method::POST, "/sessions/codes", headers, "").await;
    assert_eq!(answer.status(), 201, "{}", answer.text());
    answer.json()["code"].as_str().unwrap().into()
}

async fn begin(world: &World, code: &str) -> Answer {
    world.connect().await.ask(Method::POST, "/sessions", &[], json!({"code": code}).to_string()).await
}

/// The token of a session that stands for `token`, used with `headers`.
async fn session(world: &World, token: &str, headers: &[(&str, &str)]) -> String {
    let code = code(world, token, headers).await;
    begin(world, &code).await.json()["token"].as_str().unwrap().into()
}

//! The description of an outside server is checked, and what must not be shown is not.

use antiphon::model::status::outside::OutsideDetail;

use super::{done, failed, outside};
use crate::support::http::get;
use crate::support::mesh::TestMesh;

#[test]
fn faults_of_a_description_are_named_without_the_login() {
    let mesh = TestMesh::start(1);
    let node = &mesh.nodes[0];
    let more = ["--login-file", "/dev/null"];
    let usual = [
        "add",
        "r",
        "--public-url",
        "http://127.0.0.1:9",
        "--mount",
        "/a=/b",
    ];
    let why = failed(&outside(node, &[&usual[..], &more].concat()));
    assert!(why.contains("has no USER:PASSWORD"), "{why}");
    done(&outside(node, &usual));
    let why = failed(&outside(node, &usual));
    assert!(why.contains("outside server r already exists"), "{why}");
    let why = failed(&outside(node, &["set", "nobody", "weight=1"]));
    assert!(why.contains("there is no outside server nobody"), "{why}");
    let why = failed(&outside(node, &["set", "r", "poll_url=ftp://a"]));
    assert!(why.contains("poll_url: must be http://HOST"), "{why}");
    done(&outside(
        node,
        &["set", "r", "poll_url=https://127.0.0.1:9"],
    ));

    let patched = node.api(
        "PATCH",
        "/api/v1/outside/r",
        "{\"login\":\"u:hackme\",\"weight\":7}",
    );
    let patched = patched.unwrap();
    assert_eq!(patched.head.status, 200, "{}", patched.text());
    let detail: OutsideDetail = serde_json::from_slice(&patched.body).unwrap();
    assert!(detail.has_login && detail.server.weight_percent == 7);
    let all = node.api("GET", "/api/v1/outside", "").unwrap().text();
    let status = get(&node.address(), "/status.json").unwrap().text();
    assert!(!all.contains("hackme") && !status.contains("hackme"));
    assert!(
        all.contains("\"poll_url\"") && !status.contains("poll_url"),
        "{status}"
    );
    for (method, target, body, wanted) in [
        ("POST", "/api/v1/outside", "{}", 400),
        ("POST", "/api/v1/outside", "{\"name\":\"A\"}", 400),
        (
            "POST",
            "/api/v1/outside",
            "{\"name\":\"x\",\"mounts\":\"/a\"}",
            400,
        ),
        ("PATCH", "/api/v1/outside/r", "{\"wieght\":1}", 400),
        ("PATCH", "/api/v1/outside/r", "nonsense", 400),
        ("PUT", "/api/v1/outside/r", "{}", 405),
        ("GET", "/api/v1/outside/x", "", 404),
        ("DELETE", "/api/v1/outside/x", "", 404),
    ] {
        let answer = node.api(method, target, body).unwrap();
        assert_eq!(
            answer.head.status,
            wanted,
            "{method} {target} {body}: {}",
            answer.text()
        );
    }
    let page = get(&node.address(), "/?part=mesh").unwrap().text();
    assert!(
        page.contains("Outside servers") && page.contains("there /b"),
        "{page}"
    );
}

//! Listeners that come by HTTPS are only sent to nodes that can be reached by it, as long as their certificates hold.

use serde_json::Value;

use crate::support::ca::TestCa;
use crate::support::http::{Answer, Head, ask, get, get_by_tls};
use crate::support::https::TlsFolder;
use crate::support::mesh::TestMesh;
use crate::support::node::{TestNode, done};
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::{Player, ask_for_stream};
use crate::support::source::KnownSource;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";
/// How often the same is asked: enough for each node to be chosen.
const TIMES: usize = 12;

/// Three nodes: the first serves no listener, the first two have certificates, the third has none.
struct Stage {
    second_tls: TlsFolder,
    mesh: TestMesh,
    _first_tls: TlsFolder,
    _source: KnownSource,
}

impl Stage {
    fn set() -> Self {
        let (first, second) = (TlsFolder::new(), TlsFolder::new());
        let mesh = TestMesh::start_with(3, |index, setup| {
            let setup = setup.with(&["--trusted-proxies", "127.0.0.1"]);
            match index {
                0 => first.of(setup).with(&["--max-listeners", "0"]),
                1 => second.of(setup),
                _ => setup,
            }
        });
        mesh.create_mount(RADIO, PASSWORD);
        let source = KnownSource::start(&mesh.nodes[2], RADIO, PASSWORD);
        mesh.wait_on_air(RADIO);
        let stage = Self {
            second_tls: second,
            mesh,
            _first_tls: first,
            _source: source,
        };
        stage.wait_secure([true, true, false]);
        stage
    }

    /// Waits until every node knows which of them can be reached by HTTPS.
    fn wait_secure(&self, expected: [bool; 3]) {
        for node in &self.mesh.nodes {
            let look = || {
                let known = self.mesh.nodes.iter().map(|other| {
                    let opinion = node.opinion_of(other.name());
                    let url = opinion.and_then(|it| it.https_url);
                    url == Some(format!("https://{}", other.address()))
                });
                let known: Vec<bool> = known.collect();
                so(known == expected, format!("{known:?}"))
            };
            eventually(PATIENCE, "who is reached by HTTPS", look);
        }
    }

    /// The answers to so many listeners that ask the first node.
    fn heads(&self, scheme: &str) -> Vec<Head> {
        let url = format!("{scheme}://{}{RADIO}", self.mesh.nodes[0].address());
        let heads = (0..TIMES).map(|_| ask_for_stream(&url).unwrap().1);
        heads.collect()
    }

    /// The base of a node's addresses.
    fn base(&self, scheme: &str, node: usize) -> String {
        format!("{scheme}://{}/", self.mesh.nodes[node].address())
    }
}

/// The addresses in a playlist.
fn addresses(playlist: &Answer) -> Vec<String> {
    let text = playlist.text();
    let lines = text.lines().filter(|line| line.starts_with("http"));
    lines.map(str::to_owned).collect()
}

/// The addresses that a program may choose from.
fn candidates(answer: &Answer) -> Vec<String> {
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    let all = answer["candidates"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    let urls = all.iter().map(|it| it["url"].as_str().unwrap().to_owned());
    urls.collect()
}

#[test]
fn who_comes_by_https_is_sent_on_by_https_only() {
    let stage = Stage::set();
    let front = &stage.mesh.nodes[0];
    let secure = stage.base("https", 1);
    for head in stage.heads("https") {
        assert!(head.location().starts_with(&secure), "{head:?}");
    }
    let plain: Vec<Head> = stage.heads("http");
    for node in [1, 2] {
        let base = stage.base("http", node);
        let is_there = |head: &Head| head.location().starts_with(&base);
        assert!(plain.iter().any(is_there), "{base}: {plain:?}");
    }
    let player = Player::tune_in(&format!("https://{}{RADIO}", front.address()));
    player.wait_for_more(16_000);
    let m3u = format!("{RADIO}.m3u");
    let by_tls = addresses(&get_by_tls(&front.address(), &m3u).unwrap());
    let own = stage.base("https", 0);
    let is_secure = |url: &String| url.starts_with(&secure) || url.starts_with(&own);
    assert!(
        !by_tls.is_empty() && by_tls.iter().all(is_secure),
        "{by_tls:?}"
    );
    let by_http = addresses(&get(&front.address(), &m3u).unwrap());
    assert!(
        by_http.iter().all(|url| url.starts_with("http://")),
        "{by_http:?}"
    );
    let target = format!("/api/v1/candidates?mount={RADIO}");
    let named = candidates(&get_by_tls(&front.address(), &target).unwrap());
    assert_eq!(
        named,
        [format!("https://{}{RADIO}", stage.mesh.nodes[1].address())]
    );
    let explained =
        |more: &[&str]| done(&front.command("policy", &[&["explain", RADIO], more].concat()));
    let (by_tls, by_http) = (explained(&["--https"]), explained(&[]));
    assert!(
        by_tls.contains("n2") && by_tls != by_http,
        "{by_tls}\n{by_http}"
    );
    let status = get_by_tls(&front.address(), "/status-json.xsl").unwrap();
    let status: Value = serde_json::from_slice(&status.body).unwrap();
    let listen_url = status["icestats"]["source"]["listenurl"].as_str().unwrap();
    assert!(listen_url.starts_with(&own), "{listen_url}");
}

#[test]
fn a_node_is_left_out_while_its_certificate_does_not_hold() {
    let stage = Stage::set();
    let elsewhere = TestCa::get().issue(&["other.example"], 2040);
    stage.second_tls.replace(&elsewhere);
    stage.wait_secure([true, false, false]);
    for head in stage.heads("https") {
        assert_eq!(head.status, 503, "{head:?}");
    }
    let plain = stage.heads("http");
    assert!(plain.iter().all(|head| head.status == 302), "{plain:?}");
    // One that is over is no better.
    stage
        .second_tls
        .replace(&TestCa::get().issue(&["127.0.0.1"], 2021));
    stage.wait_secure([true, false, false]);
    stage
        .second_tls
        .replace(&TestCa::get().issue_for_loopback());
    stage.wait_secure([true, true, false]);
    let secure = stage.base("https", 1);
    let back = stage.heads("https");
    let is_there = |head: &Head| head.location().starts_with(&secure);
    assert!(back.iter().all(is_there), "{back:?}");
}

#[test]
fn browsers_are_sent_to_https_where_the_node_has_a_certificate() {
    let stage = Stage::set();
    let answer = |node: &TestNode, target: &str| {
        let address = node.address();
        let stranger = "X-Forwarded-For: 192.0.2.9\r\nUpgrade-Insecure-Requests: 1\r\n";
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{stranger}\r\n"
        );
        ask(&address, &request).unwrap().head
    };
    let front = &stage.mesh.nodes[0];
    let head = answer(front, "/");
    let there = stage.base("https", 0);
    assert_eq!((head.status, head.header("location")), (307, Some(&*there)));
    assert_eq!(answer(front, RADIO).status, 302, "streams stay as they are");
    assert_eq!(
        answer(&stage.mesh.nodes[2], "/").status,
        200,
        "no certificate"
    );
}

#[test]
fn players_that_follow_no_redirect_are_not_sent_to_https() {
    let tls = TlsFolder::new();
    let mesh = TestMesh::start_with(1, |_, setup| {
        let setup = tls.of(setup.with(&["--trusted-proxies", "127.0.0.1"]));
        setup.configured("https_redirect = \"all\"\n")
    });
    mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&mesh.nodes[0], RADIO, PASSWORD);
    mesh.wait_on_air(RADIO);
    let node = &mesh.nodes[0];
    let status = |target: &str, agent: &str| {
        let (address, mut connection) = (node.address(), node.connect());
        let head = format!("User-Agent: {agent}\r\nX-Forwarded-For: 192.0.2.9\r\n");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n{head}\r\n");
        connection.send(request).unwrap();
        connection.head().unwrap().status
    };
    let sent_on = || status(RADIO, "Icecast 2.4.4");
    eventually(PATIENCE, "sent to HTTPS", || {
        let status = sent_on();
        so(status == 307, status.to_string())
    });
    assert_eq!(status(&format!("{RADIO}?redirect=no"), "player"), 200);
    done(&node.command("policy", &["set", "--proxy-agents", "Icecast"]));
    assert_eq!(status(RADIO, "Icecast 2.4.4"), 200);
    assert_eq!(status(&format!("{RADIO}.m3u"), "Icecast 2.4.4"), 200);
    assert_eq!(status(RADIO, "player"), 307);
    done(&node.command("mount", &["set", RADIO, "redirect=false"]));
    assert_eq!(status(RADIO, "player"), 200);
}

//! The mesh answers for its own zone: names lead to nodes that take listeners, and away from those that do not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_resolver::Resolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

use crate::support::dig::{Dug, dig};
use crate::support::mesh::TestMesh;
use crate::support::node::Setup;
use crate::support::patience::{PATIENCE, eventually, so};
use crate::support::player::Player;
use crate::support::port::free_port;
use crate::support::signal::{self, FRAME_BYTES};
use crate::support::source::KnownSource;
use crate::support::tool::have;

const RADIO: &str = "/radio.mp3";
const PASSWORD: &str = "hackme-not";

/// The time within which a change in the mesh is answered: an address may be kept for longer than that.
const SOON: Duration = Duration::from_secs(6);

fn ip(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 53, 1 + u8::try_from(index).unwrap())
}

/// A mesh whose nodes have one port at addresses of their own, as real ones have.
#[derive(Debug)]
struct Zone {
    mesh: TestMesh,
    port: u16,
    /// The addresses at which the first two nodes serve DNS.
    servers: [SocketAddr; 2],
}

impl Zone {
    /// Three nodes: n1 and n2 serve DNS, n3 takes so many listeners.
    fn start(most_at_n3: &str, more: &str) -> Self {
        let (port, dns_port) = (free_port(), free_port());
        let server = |index| SocketAddr::new(ip(index).into(), dns_port);
        let mesh = TestMesh::start_with(3, |index, setup| {
            let setup = setup.at(ip(index)).port(port);
            let number = index + 1;
            let mut lines = format!("addresses = ['{}', '2001:db8::{number}']\n", ip(index));
            if index < 2 {
                let listen = server(index);
                lines += &format!("[dns]\nzone = 'radio.example'\nlisten = '{listen}'\n{more}\n");
            }
            let most = if index == 2 { most_at_n3 } else { "100" };
            setup.with(&["--max-listeners", most]).configured(&lines)
        });
        let servers = [server(0), server(1)];
        let zone = Self {
            mesh,
            port,
            servers,
        };
        for server in servers {
            let all = zone.ips(&[0, 1, 2]);
            eventually(PATIENCE, "all nodes are named", || {
                zone.names(server, "", &all)
            });
        }
        zone
    }

    fn ips(&self, indices: &[usize]) -> Vec<String> {
        indices.iter().map(|index| ip(*index).to_string()).collect()
    }

    fn dig(&self, words: &str) -> Dug {
        dig(self.servers[0], words)
    }

    /// Whether a name has just these addresses.
    fn names(&self, server: SocketAddr, label: &str, ips: &[String]) -> Result<(), String> {
        let dug = dig(server, &format!("{label}radio.example A"));
        so(dug.answers() == ips, dug)
    }

    /// Waits until both servers answer with the addresses of these nodes.
    fn wait_named(&self, label: &str, indices: &[usize]) {
        let ips = self.ips(indices);
        for server in self.servers {
            let what = format!("{server} leads {label}radio.example to {ips:?}");
            eventually(SOON, &what, || self.names(server, label, &ips));
        }
    }
}

#[test]
fn names_lead_to_nodes_that_take_listeners_and_live() {
    if !have("dig") {
        return;
    }
    let mut zone = Zone::start("1", "");
    let log = zone.mesh.nodes[0].log();
    assert!(log.contains("DNS is served zone=radio.example"), "{log}");
    zone.mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&zone.mesh.nodes[0], RADIO, PASSWORD);
    zone.mesh.wait_on_air(RADIO);
    zone.wait_named("stream.", &[0, 1, 2]);

    // The passthrough address is served where it leads to, so that n3 is full with one.
    let full = Player::tune_in(&format!("{}/_stream/n1{RADIO}", zone.mesh.nodes[2].url()));
    zone.wait_named("", &[0, 1]);
    zone.wait_named("n3.", &[2]);
    drop(full);
    zone.wait_named("", &[0, 1, 2]);

    let answer = zone.mesh.nodes[1].api("POST", "/api/v1/node/drain", "");
    assert_eq!(answer.unwrap().head.status, 202);
    zone.wait_named("stream.", &[0, 2]);
    zone.wait_named("n2.", &[1]);
    let answer = zone.mesh.nodes[1].api("POST", "/api/v1/node/undrain", "");
    assert_eq!(answer.unwrap().head.status, 204);
    zone.wait_named("stream.", &[0, 1, 2]);

    zone.mesh.nodes[2].kill9();
    zone.wait_named("", &[0, 1]);
    zone.wait_named("n3.", &[0, 1]);

    // Also a name server that has forgotten everything but what is on its disk knows the dead one's name.
    zone.mesh.nodes[0].forget_whom_to_join();
    zone.mesh.nodes[0].stop();
    zone.mesh.nodes[1].kill9();
    zone.mesh.nodes[0].restart();
    let ips = zone.ips(&[0]);
    let look = || zone.names(zone.servers[0], "n3.", &ips);
    eventually(PATIENCE, "n3 leads to who lives", look);
}

#[test]
fn the_zone_is_answered_by_the_standards() {
    if !have("dig") {
        return;
    }
    let zone = Zone::start("100", "caa = ['issue letsencrypt.org']");
    let apex = zone.dig("rAdio.exaMple A");
    assert_eq!(apex.status(), "NOERROR");
    assert_eq!(apex.flags(), ["qr", "aa"], "{apex}");
    let answers = apex.section("ANSWER");
    assert_eq!(answers.len(), 3, "{apex}");
    assert_eq!(answers[0][..4], ["rAdio.exaMple.", "10", "IN", "A"]);
    assert!(zone.dig("n2.radio.example AAAA").answers() == ["2001:db8::2"]);

    let servers = zone.dig("radio.example NS");
    assert_eq!(
        servers.answers(),
        ["n1.radio.example.", "n2.radio.example."]
    );
    assert_eq!(servers.section("ADDITIONAL").len(), 4, "{servers}");
    let soa = zone.dig("radio.example SOA").answers();
    assert!(
        soa[0].starts_with("n1.radio.example. hostmaster.radio.example. "),
        "{soa:?}"
    );
    let text = zone.dig("radio.example TXT").answers();
    let fingerprint = zone.mesh.nodes[0].status().cluster;
    assert!(text[0].contains(&fingerprint), "{text:?}");
    let caa = zone.dig("radio.example CAA").answers();
    assert_eq!(caa, ["0 issue \"letsencrypt.org\""]);
    let any = zone.dig("radio.example ANY +notcp").answers();
    assert_eq!(any, ["\"RFC8482\" \"\""]);

    for (words, status, authority) in [
        ("stream.radio.example MX", "NOERROR", 1),
        ("n1.radio.example NS", "NOERROR", 1),
        ("www.radio.example A", "NXDOMAIN", 1),
        ("a.n1.radio.example A", "NXDOMAIN", 1),
        ("example A", "REFUSED", 0),
        ("www.other.example A", "REFUSED", 0),
        ("version.bind CH TXT", "REFUSED", 0),
        ("radio.example A +opcode=notify", "NOTIMP", 0),
        ("radio.example A +opcode=update", "NOTIMP", 0),
        ("radio.example A +edns=1 +noednsnegotiation", "BADVERS", 0),
    ] {
        let dug = zone.dig(words);
        assert_eq!(dug.status(), status, "{words}: {dug}");
        assert!(dug.section("ANSWER").is_empty(), "{words}: {dug}");
        let soa = dug.section("AUTHORITY");
        assert_eq!(soa.len(), authority, "{words}: {dug}");
        if let Some(soa) = soa.first() {
            assert_eq!((soa[1], soa[3], soa[10]), ("30", "SOA", "30"), "{dug}");
        }
    }
    for words in ["radio.example AXFR", "radio.example IXFR=1"] {
        let refused = zone.dig(words);
        assert!(refused.says("Transfer failed"), "{refused}");
    }
}

#[test]
fn datagrams_are_small_and_connections_carry_the_rest() {
    if !have("dig") {
        return;
    }
    let value = format!("a.example; x={}", "y".repeat(150));
    let caa = format!("'issue {value}', 'issuewild {value}', 'iodef mailto:{value}'");
    let zone = Zone::start("100", &format!("caa = [{caa}]"));
    let cut = zone.dig("radio.example CAA +ignore +noedns");
    assert!(
        cut.flags().contains(&"tc") && cut.section("ANSWER").is_empty(),
        "{cut}"
    );
    let cut = zone.dig("radio.example CAA +ignore +bufsize=4096");
    assert!(
        cut.flags().contains(&"tc"),
        "eight times the query is all: {cut}"
    );
    assert!(cut.says("udp: 1232"), "{cut}");
    for words in ["radio.example CAA", "radio.example CAA +tcp"] {
        let whole = zone.dig(words);
        assert_eq!(whole.section("ANSWER").len(), 3, "{whole}");
        assert!(whole.says("(TCP)"), "{whole}");
    }
    // Three questions over one connection.
    let kept = zone.dig("+tcp +keepopen radio.example NS n1.radio.example A www.radio.example A");
    let text = kept.to_string();
    assert_eq!(text.matches("status: ").count(), 3, "{kept}");
    assert!(text.contains("NXDOMAIN"), "{kept}");

    let told = zone.dig("radio.example A +subnet=198.51.100.0/24");
    assert!(told.says("CLIENT-SUBNET: 198.51.100.0/24/0"), "{told}");
    let told = zone.dig("radio.example A +subnet=0");
    assert!(told.says("CLIENT-SUBNET: 0.0.0.0/0/0"), "{told}");
    let dnssec = zone.dig("radio.example A +dnssec");
    assert!(
        dnssec.says("flags: do;") && dnssec.section("ANSWER").len() == 3,
        "{dnssec}"
    );
    let cookie = zone.dig("radio.example A +cookie");
    assert_eq!(cookie.status(), "NOERROR", "{cookie}");
}

#[test]
fn a_flood_is_told_to_use_tcp() {
    if !have("dig") {
        return;
    }
    let zone = Zone::start("100", "answers_per_s = 1");
    let mut cut = 0;
    for _ in 0..12 {
        let dug = zone.dig("radio.example A +ignore +time=1");
        cut += usize::from(dug.flags().contains(&"tc"));
    }
    assert!(cut > 0, "nobody was told to come by TCP");
    // Who comes by TCP is answered, and so is another network.
    assert_eq!(zone.dig("radio.example A +tcp").status(), "NOERROR");
    assert_eq!(zone.dig("radio.example A -b 127.9.9.9").status(), "NOERROR");
}

#[test]
fn a_player_finds_the_stream_by_its_name() {
    let zone = Zone::start("100", "");
    zone.mesh.create_mount(RADIO, PASSWORD);
    let _source = KnownSource::start(&zone.mesh.nodes[0], RADIO, PASSWORD);
    zone.mesh.wait_on_air(RADIO);
    for index in zone.mesh.others() {
        let ips = look_up(&zone.servers, "stream.radio.example.");
        assert_eq!(ips.len(), 6, "both families of three nodes: {ips:?}");
        let name = format!("n{}.radio.example.", index + 1);
        let found = look_up(&zone.servers, &name);
        assert!(found.contains(&IpAddr::from(ip(index))), "{found:?}");
        let first = ips.into_iter().find(IpAddr::is_ipv4).unwrap();
        let player = Player::tune_in(&format!("http://{first}:{}{RADIO}", zone.port));
        player.wait_for_more(20 * FRAME_BYTES);
        signal::check(&player.bytes());
    }
}

/// Asks the name servers as an application does.
fn look_up(servers: &[SocketAddr], name: &str) -> Vec<IpAddr> {
    let server = |address: &SocketAddr| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        let connections = connections.map(|mut connection| {
            connection.port = address.port();
            connection
        });
        NameServerConfig::new(address.ip(), true, connections.into())
    };
    let servers = servers.iter().map(server).collect();
    let config = ResolverConfig::from_name_servers(servers);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let runtime = TokioRuntimeProvider::default();
        let mut builder = Resolver::builder_with_config(config, runtime);
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let found = builder.build().unwrap().lookup_ip(name).await.unwrap();
        found.iter().collect()
    })
}

#[test]
fn a_forbidden_port_is_reported_with_a_remedy() {
    let taken = UdpSocket::bind("127.0.53.9:0").unwrap();
    let address = taken.local_addr().unwrap();
    let lines = format!("[dns]\nzone = 'radio.example'\nlisten = '{address}'\n");
    let setup = Setup::named("n1").configured(&lines);
    let mut node = setup.launch();
    assert!(!node.wait_end(PATIENCE).success());
    let said = format!("cannot listen for DNS on UDP {address}");
    assert!(node.log().contains(&said), "{}", node.log());
}

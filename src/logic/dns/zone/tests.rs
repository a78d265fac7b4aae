//! The answers of the zone in each situation.

use super::*;

/// Nodes with their room as candidates, and dice that fall in turn.
struct Fixed {
    candidates: Vec<ServingNode>,
    dice: Vec<f64>,
    thrown: usize,
}

impl Choosing for Fixed {
    fn candidates(&mut self) -> Vec<ServingNode> {
        self.candidates.clone()
    }

    fn dice(&mut self) -> f64 {
        self.thrown += 1;
        self.dice[self.thrown % self.dice.len()]
    }
}

fn node(name: &str) -> NodeName {
    NodeName::try_from(name).unwrap()
}

fn domain(name: &str) -> DomainName {
    name.parse().unwrap()
}

fn zone() -> Zone {
    Zone {
        apex: domain("radio.example"),
        servers: Vec::new(),
        contact: None,
        answers: 2,
        text: "antiphon".into(),
        caa: Vec::new(),
    }
}

fn host(number: u8, state: NodeState) -> Host {
    Host {
        addresses: vec![
            IpAddr::from([192, 0, 2, number]),
            IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)]),
        ],
        state,
        serves_dns: number < 3,
    }
}

/// n1 and n2 serve DNS, n3 does not; n9 was known once.
struct World {
    hosts: BTreeMap<NodeName, Host>,
    known_once: BTreeSet<NodeName>,
    proofs: Vec<DnsProof>,
    choosing: Fixed,
}

impl World {
    fn new() -> Self {
        let numbers = 1..=3;
        let hosts = numbers.clone().map(|number| {
            let name = node(&format!("n{number}"));
            (name, host(number, NodeState::Alive))
        });
        let candidates = numbers.map(|number| ServingNode {
            node: node(&format!("n{number}")),
            room: 1.0,
        });
        Self {
            hosts: hosts.collect(),
            known_once: BTreeSet::from([node("n9")]),
            proofs: Vec::new(),
            choosing: Fixed {
                candidates: candidates.collect(),
                dice: vec![0.5],
                thrown: 0,
            },
        }
    }

    fn set(&mut self, name: &str, state: NodeState) {
        self.hosts.get_mut(&node(name)).unwrap().state = state;
        let left = |it: &ServingNode| it.node != node(name);
        self.choosing.candidates.retain(left);
    }

    fn ask(&mut self, zone: &Zone, name: &str, kind: RecordKind) -> ZoneAnswer {
        let question = DnsQuestion {
            labels: name.split('.').map(str::to_owned).collect(),
            kind,
        };
        let moment = Moment {
            hosts: &self.hosts,
            known_once: &self.known_once,
            proofs: &self.proofs,
            serial: 7,
        };
        zone.look_up(&question, &moment, &mut self.choosing)
    }

    /// The last bytes of the addresses.
    fn numbers(&mut self, name: &str, kind: RecordKind) -> Vec<u8> {
        let ZoneAnswer::Records { answers, .. } = self.ask(&zone(), name, kind) else {
            return Vec::new();
        };
        let number = |record: &DnsRecord| match record.data {
            RecordData::A(ip) => ip.octets()[3],
            RecordData::Aaaa(ip) => ip.octets()[15],
            _ => panic!("no address: {record:?}"),
        };
        assert!(
            answers
                .iter()
                .all(|it| it.ttl_s == 10 && it.owner == domain(name))
        );
        answers.iter().map(number).collect()
    }
}

const APEX: &str = "radio.example";
const NAMES: [&str; 2] = [APEX, "stream.radio.example"];
const BOTH: [RecordKind; 2] = [RecordKind::A, RecordKind::Aaaa];

#[test]
fn a_proof_is_there_as_long_as_its_order() {
    let mut world = World::new();
    let names = [
        "_acme-challenge.radio.example",
        "_acme-challenge.radio.example",
        "_acme-challenge.a.b.radio.example",
    ];
    for name in names {
        let absent = world.ask(&zone(), name, RecordKind::Txt);
        assert!(matches!(absent, ZoneAnswer::NoSuchName(_)), "{absent:?}");
    }
    let proof = |(number, name): (usize, &str)| DnsProof {
        owner: name.to_owned(),
        text: format!("proof {number}"),
    };
    world.proofs = names.into_iter().enumerate().map(proof).collect();
    let mut texts = |name: &str| {
        let ZoneAnswer::Records { answers, .. } = world.ask(&zone(), name, RecordKind::Txt) else {
            return Vec::new();
        };
        let text = |record: &DnsRecord| match &record.data {
            RecordData::Txt(text) => text.clone(),
            other => panic!("{other:?}"),
        };
        answers.iter().map(text).collect()
    };
    assert_eq!(texts(names[0]), ["proof 0", "proof 1"]);
    assert_eq!(texts(names[2]), ["proof 2"]);
    let address = world.ask(&zone(), names[0], RecordKind::A);
    assert!(matches!(address, ZoneAnswer::NoData(_)), "{address:?}");
    let between = world.ask(&zone(), "a.b.radio.example", RecordKind::A);
    assert!(matches!(between, ZoneAnswer::NoData(_)), "{between:?}");
}

#[test]
fn the_zone_and_its_stream_lead_to_the_best_nodes() {
    let mut world = World::new();
    for name in NAMES {
        for kind in BOTH {
            assert_eq!(world.numbers(name, kind), [1, 2], "{name} {kind:?}");
        }
    }
}

#[test]
fn nodes_that_take_no_listeners_are_not_named() {
    let mut world = World::new();
    world.set("n1", NodeState::Draining);
    assert_eq!(world.numbers(APEX, RecordKind::A), [2, 3]);
    world.set("n2", NodeState::Suspect);
    assert_eq!(world.numbers(APEX, RecordKind::A), [3]);
}

#[test]
fn when_no_node_has_room_all_live_ones_are_named() {
    let mut world = World::new();
    world.choosing.candidates.clear();
    world.set("n2", NodeState::Dead);
    assert_eq!(world.numbers(APEX, RecordKind::A), [1, 3]);
}

#[test]
fn a_nodes_name_leads_to_it_while_it_lives() {
    let mut world = World::new();
    for state in [NodeState::Alive, NodeState::Suspect, NodeState::Draining] {
        world.set("n3", state);
        assert_eq!(world.numbers("n3.radio.example", RecordKind::A), [3]);
    }
    world.set("n3", NodeState::Dead);
    assert_eq!(world.numbers("n3.radio.example", RecordKind::A), [1, 2]);
    assert_eq!(world.numbers("n9.radio.example", RecordKind::Aaaa), [1, 2]);
}

#[test]
fn a_node_is_never_given_the_address_of_another() {
    let mut world = World::new();
    world.hosts.get_mut(&node("n1")).unwrap().addresses.pop();
    let found = world.ask(&zone(), "n1.radio.example", RecordKind::Aaaa);
    assert!(matches!(found, ZoneAnswer::NoData(_)), "{found:?}");
    assert_eq!(world.numbers(APEX, RecordKind::Aaaa), [2, 3]);
}

#[test]
fn unknown_names_are_told_from_names_without_such_a_record() {
    let mut world = World::new();
    for name in ["www", "a.n1", "n4", "a.stream", "*", "n1\u{fffd}", ""] {
        let name = format!("{name}.radio.example");
        let found = world.ask(&zone(), &name, RecordKind::A);
        assert!(
            matches!(found, ZoneAnswer::NoSuchName(_)),
            "{name} {found:?}"
        );
    }
    for (name, kind) in [
        (APEX, RecordKind::Other),
        (APEX, RecordKind::Caa),
        ("stream.radio.example", RecordKind::Txt),
        ("stream.radio.example", RecordKind::Ns),
        ("n1.radio.example", RecordKind::Soa),
    ] {
        let found = world.ask(&zone(), name, kind);
        let ZoneAnswer::NoData(soa) = found else {
            panic!("{name} {kind:?} {found:?}")
        };
        assert_eq!((soa.owner, soa.ttl_s), (domain(APEX), NEGATIVE_TTL_S));
    }
    for name in ["example", "radio.test", "myradio.example", "a", ""] {
        let found = world.ask(&zone(), name, RecordKind::A);
        assert_eq!(found, ZoneAnswer::Outside, "{name}");
    }
}

#[test]
fn the_nodes_that_serve_it_are_the_name_servers() {
    let mut world = World::new();
    let ZoneAnswer::Records { answers, glue } = world.ask(&zone(), APEX, RecordKind::Ns) else {
        panic!("no servers")
    };
    let servers: Vec<_> = answers.into_iter().map(|it| it.data).collect();
    let expected = ["n1.radio.example", "n2.radio.example"];
    assert_eq!(servers, expected.map(|it| RecordData::Ns(domain(it))));
    assert_eq!(glue.len(), 4);
    assert_eq!(glue[0].owner, domain("n1.radio.example"));
}

#[test]
fn name_servers_have_the_addresses_of_the_nodes_that_serve() {
    let mut world = World::new();
    let zone = Zone {
        servers: ["a.ns.radio.example", "ns.other.example"]
            .map(domain)
            .into(),
        contact: Some(domain("anna.other.example")),
        ..zone()
    };
    world.set("n1", NodeState::Dead);
    let ZoneAnswer::Records { answers, .. } = world.ask(&zone, "a.ns.radio.example", RecordKind::A)
    else {
        panic!("no address")
    };
    assert_eq!(answers[0].data, RecordData::A([192, 0, 2, 2].into()));
    assert_eq!(answers.len(), 1);
    let between = world.ask(&zone, "ns.radio.example", RecordKind::A);
    assert!(matches!(between, ZoneAnswer::NoData(_)), "{between:?}");
    let ZoneAnswer::Records { glue, .. } = world.ask(&zone, APEX, RecordKind::Ns) else {
        panic!("no servers")
    };
    assert_eq!(glue.len(), 2, "only for the server in the zone");
    let ZoneAnswer::Records { answers, .. } = world.ask(&zone, APEX, RecordKind::Soa) else {
        panic!("no authority")
    };
    let soa = Soa {
        primary: domain("a.ns.radio.example"),
        contact: domain("anna.other.example"),
        serial: 7,
        negative_ttl_s: NEGATIVE_TTL_S,
    };
    assert_eq!(answers[0].data, RecordData::Soa(soa));
}

#[test]
fn a_query_for_everything_gets_one_record() {
    let mut world = World::new();
    for name in [APEX, "n1.radio.example"] {
        let ZoneAnswer::Records { answers, glue } = world.ask(&zone(), name, RecordKind::Any)
        else {
            panic!("nothing")
        };
        assert_eq!((answers.len(), glue.len()), (1, 0));
        assert_eq!(answers[0].data, RecordData::NotEverything);
    }
}

#[test]
fn an_address_is_given_once_and_never_more_than_eight() {
    let mut world = World::new();
    let many: Vec<IpAddr> = (1..=200)
        .map(|it| IpAddr::from([198, 51, 100, it]))
        .collect();
    for host in world.hosts.values_mut() {
        host.addresses.clone_from(&many);
    }
    assert_eq!(world.numbers(APEX, RecordKind::A), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_node_with_more_room_is_first_more_often() {
    let mut state = 1_u64;
    let mut random = || {
        // Numerical Recipes' linear generator: any will do.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut choosing = Fixed {
        candidates: Vec::new(),
        dice: (0..40_000).map(|_| random()).collect(),
        thrown: 0,
    };
    let rounds = 10_000;
    let first = (0..rounds).filter(|_| draw(vec![("a", 3.0), ("b", 1.0)], &mut choosing)[0] == "a");
    let share = first.count() as f64 / f64::from(rounds);
    assert!((share - 0.75).abs() < 0.02, "{share}");
    assert_eq!(
        draw(vec![("a", 0.0), ("b", f64::NAN)], &mut choosing).len(),
        2
    );
}

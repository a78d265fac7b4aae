//! Nodes at addresses of their own, with an authority that asks them.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon::model::status::certificates::{CertificateState, CertificateStatus};

use crate::support::clock;
use crate::support::mesh::TestMesh;
use crate::support::network::Network;
use crate::support::node::{Setup, TestNode, done};
use crate::support::patience::eventually;
use crate::support::pebble::{Pebble, PebbleSetup, ScriptedDns};
use crate::support::port::free_port;
use crate::support::tool::have;

/// The mail address of the mesh.
pub(super) const CONTACT: &str = "mail@radio.example";
/// How long an order may take, with all the tries that an authority makes necessary which rejects some nonces.
pub(super) const ORDERED_WITHIN: Duration = Duration::from_secs(60);
/// A lifetime in which nothing is renewed during a test.
const LONG_S: u64 = 90 * 86_400;

/// The address of a node.
pub(super) fn ip(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 54, 1 + u8::try_from(index).unwrap())
}

/// Nodes, an authority, and the DNS that it asks unless the mesh has a zone.
#[derive(Debug)]
pub(super) struct Stage {
    // In the order in which they are to go.
    pub(super) mesh: TestMesh,
    pub(super) pebble: Pebble,
    pub(super) dns: ScriptedDns,
    /// The name server of the zone, if the mesh has one.
    pub(super) own_dns: SocketAddr,
    port: u16,
}

/// The unusual in the nodes.
#[derive(Clone, Copy, Debug, Default)]
struct Odd<'a> {
    /// The zone that the second one serves.
    zone: Option<&'a str>,
    /// By how much their clocks are off.
    clock: Option<&'a str>,
}

impl Stage {
    /// So many nodes; `None` without the programs.
    pub(super) fn set(nodes: usize, variables: &[(&'static str, &str)]) -> Option<Self> {
        Self::set_for(nodes, LONG_S, variables)
    }

    /// The same with certificates that are valid for so long.
    pub(super) fn set_for(
        nodes: usize,
        lifetime_s: u64,
        variables: &[(&'static str, &str)],
    ) -> Option<Self> {
        if !have("pebble") || !have("pebble-challtestsrv") {
            return None;
        }
        let dns = ScriptedDns::start(ip(0));
        let odd = Odd::default();
        Some(Self::start(nodes, lifetime_s, variables, dns, odd))
    }

    /// One node whose clock is off by so much.
    pub(super) fn set_by_clock(offset: &str) -> Option<Self> {
        if !have("pebble") || !have("pebble-challtestsrv") || clock::library().is_none() {
            return None;
        }
        let dns = ScriptedDns::start(ip(0));
        let odd = Odd {
            clock: Some(offset),
            ..Odd::default()
        };
        Some(Self::start(1, LONG_S, &[], dns, odd))
    }

    /// Nodes of which the second serves this zone, and is what the authority asks.
    pub(super) fn set_with_zone(nodes: usize, zone: &str) -> Option<Self> {
        if !have("pebble") || !have("pebble-challtestsrv") {
            return None;
        }
        let dns = ScriptedDns::start(ip(0));
        let odd = Odd {
            zone: Some(zone),
            ..Odd::default()
        };
        Some(Self::start(nodes, LONG_S, &[], dns, odd))
    }

    fn start(
        nodes: usize,
        lifetime_s: u64,
        variables: &[(&'static str, &str)],
        dns: ScriptedDns,
        odd: Odd<'_>,
    ) -> Self {
        let zone = odd.zone;
        let (port, dns_port) = (free_port(), free_port());
        let own_dns = SocketAddr::new(ip(1).into(), dns_port);
        let pebble = Pebble::start(PebbleSetup {
            ip: Ipv4Addr::LOCALHOST,
            dns: if zone.is_some() {
                own_dns
            } else {
                dns.address()
            },
            http_port: port,
            lifetime_s,
            variables: variables
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        });
        let mesh = TestMesh::start_with(nodes, |index, setup| {
            let setup = setup.at(ip(index)).port(port);
            let setup = match odd.clock {
                Some(offset) => setup.clock(offset),
                None => setup,
            };
            match zone.filter(|_| index == 1) {
                Some(zone) => {
                    setup.configured(&format!("[dns]\nzone = '{zone}'\nlisten = '{own_dns}'\n"))
                }
                None => setup,
            }
        });
        Self {
            mesh,
            pebble,
            dns,
            own_dns,
            port,
        }
    }

    /// One more node, which joins the first.
    pub(super) fn add(&mut self) -> &TestNode {
        self.add_with(&[])
    }

    /// The same with more arguments.
    pub(super) fn add_with(&mut self, more: &[&str]) -> &TestNode {
        let index = self.mesh.nodes.len();
        let setup: Setup = self.mesh.next_setup().at(ip(index)).port(self.port);
        let setup = setup.join(&self.mesh.nodes[0].address()).with(more);
        self.mesh.nodes.push(setup.start());
        self.mesh.nodes.last().unwrap()
    }

    /// Three nodes in a network that can be cut, and an authority that all of them reach; `None` where there are no
    /// namespaces.
    pub(super) fn set_in(network: &Network) -> Option<Self> {
        if !have("pebble") || !have("pebble-challtestsrv") {
            return None;
        }
        let (port, dns) = (free_port(), ScriptedDns::start(network.site(0).ip));
        let pebble = Pebble::start(PebbleSetup {
            ip: network.own_ip(),
            dns: dns.address(),
            http_port: port,
            lifetime_s: LONG_S,
            variables: Vec::new(),
        });
        let mesh = TestMesh::start_with(3, |index, setup| {
            setup.port(port).inside(network.site(index))
        });
        Some(Self {
            mesh,
            pebble,
            own_dns: dns.address(),
            dns,
            port,
        })
    }

    /// Has certificates got for these names.
    pub(super) fn enable(&self, names: &str) {
        self.enable_at(0, names);
    }

    /// The same by an operator at this node.
    pub(super) fn enable_at(&self, index: usize, names: &str) {
        let (directory, ca) = (self.pebble.directory(), self.pebble.trusted_by());
        self.enable_with(index, &directory, &ca.display().to_string(), names);
    }

    /// The same with an authority at this address, whose server is trusted by this file.
    pub(super) fn enable_with(&self, index: usize, directory: &str, ca: &str, names: &str) {
        let words = [
            "enable",
            "--contact",
            CONTACT,
            "--directory",
            directory,
            "--directory-ca",
            ca,
            "--names",
            names,
        ];
        let told = done(&self.mesh.nodes[index].command("cert", &words));
        assert!(told.contains("https_contact"), "{told}");
    }

    /// Waits until a node has a valid certificate for a name, and returns its serial number.
    pub(super) fn wait_valid(&self, index: usize, name: &str) -> String {
        self.wait_valid_within(index, name, ORDERED_WITHIN)
    }

    /// The same within a time.
    pub(super) fn wait_valid_within(&self, index: usize, name: &str, limit: Duration) -> String {
        let what = format!("n{} has a certificate for {name}", index + 1);
        let (serial, took) = eventually(limit, &what, || {
            let status = status_of(&self.mesh.nodes[index], name)?;
            let serial = status.serial.clone();
            let serial = serial.filter(|_| status.state == CertificateState::Valid);
            serial.ok_or_else(|| status.in_words(0))
        });
        println!("n{} has {name} after {took:?}", index + 1);
        serial
    }

    /// Waits until the node that orders is known, and returns its index.
    pub(super) fn wait_issuer(&self) -> usize {
        let (issuer, _) = eventually(ORDERED_WITHIN, "a node orders certificates", || {
            let status = self.mesh.nodes[0]
                .try_status()
                .map_err(|it| it.to_string())?;
            let node = status.certificates.and_then(|it| it.node);
            node.ok_or_else(|| "none does".to_owned())
        });
        let mut nodes = self.mesh.nodes.iter();
        nodes
            .position(|node| node.name() == issuer.as_str())
            .unwrap()
    }

    /// Waits until the fault of a name holds these words, for an operator.
    pub(super) fn wait_fault(&self, index: usize, name: &str, words: &str) -> String {
        let what = format!("the fault of {name} says {words:?}");
        let look = || {
            let told = done(&self.mesh.nodes[index].command("cert", &["list"]));
            let line = told
                .lines()
                .find(|line| line.starts_with(&format!("{name}: ")));
            let line = line.unwrap_or_default().to_owned();
            if line.contains(words) {
                Ok(line)
            } else {
                Err(told)
            }
        };
        eventually(ORDERED_WITHIN, &what, look).0
    }
}

/// The state of the certificate for a name, as anybody sees it at a node.
pub(super) fn status_of(node: &TestNode, name: &str) -> Result<CertificateStatus, String> {
    let status = node.try_status().map_err(|error| error.to_string())?;
    let all = status.certificates.ok_or("no certificates")?.certificates;
    let found = all.iter().find(|it| it.names.iter().any(|own| own == name));
    found.cloned().ok_or_else(|| format!("{all:?}"))
}

/// The files below a folder that hold some bytes.
pub(super) fn files_with(folder: &Path, needle: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if fs::read(&path)
            .unwrap_or_default()
            .windows(needle.len())
            .any(|it| it == needle)
        {
            found.push(path);
        }
    }
    found
}

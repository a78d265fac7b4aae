//! A network of the test's own: each node in a namespace behind a router, which drops what it is told to.
//!
//! Only between nodes: the test itself reaches each of them at any time, as sources and listeners elsewhere do.

use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, id};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::geteuid;

/// The address of a namespace is 10.NET.SITE.2; that of the router on its side 10.NET.SITE.1.
const FIRST_NET: u32 = 64;
/// How many such networks can be there at once, in all test processes.
const NETS: u32 = 128;
/// The site of the test itself.
const OWN_SITE: usize = 250;

/// How many networks this process has begun to build.
static BUILT: AtomicU32 = AtomicU32::new(0);

/// A place for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The namespace.
    pub(crate) namespace: String,
    /// The address of the machine.
    pub(crate) ip: Ipv4Addr,
}

/// The network. Dropping it takes it down.
#[derive(Debug)]
pub(crate) struct Network {
    net: u8,
    sites: usize,
}

/// Runs `ip`; what it complained of if it failed.
fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| error.to_string())?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {complaint}"))
}

impl Network {
    /// A network with so many sites; `None`, with a word about it, where that cannot be had.
    pub(crate) fn build(sites: usize) -> Option<Self> {
        let test = std::thread::current();
        let test = test.name().unwrap_or("a test").to_owned();
        if !geteuid().is_root() {
            println!("{test}: skipped, because only root can make network namespaces");
            return None;
        }
        for _ in 0..NETS {
            let turn = id().wrapping_add(BUILT.fetch_add(1, Ordering::Relaxed));
            let net = (FIRST_NET + turn % NETS) as u8;
            let network = Self { net, sites };
            match network.raise() {
                Ok(()) => return Some(network),
                // Another test has this one; it must not be taken down.
                Err(why) if why.contains("File exists") => std::mem::forget(network),
                Err(why) => {
                    println!("{test}: skipped, because there are no network namespaces: {why}");
                    return None;
                }
            }
        }
        panic!("all networks are taken: ip netns list")
    }

    fn hub(&self) -> String {
        format!("antiphon-{}", self.net)
    }

    /// A place for a node.
    pub(crate) fn site(&self, index: usize) -> Site {
        Site {
            namespace: format!("antiphon-{}-{index}", self.net),
            ip: Ipv4Addr::new(10, self.net, index as u8, 2),
        }
    }

    /// The address of the test itself.
    pub(crate) fn own_ip(&self) -> Ipv4Addr {
        self.site(OWN_SITE).ip
    }

    fn raise(&self) -> Result<(), String> {
        let (hub, net) = (self.hub(), self.net);
        ip(&format!("netns add {hub}"))?;
        ip(&format!("-n {hub} link set lo up"))?;
        ip(&format!(
            "netns exec {hub} sysctl -qw net.ipv4.ip_forward=1"
        ))?;
        self.connect(OWN_SITE, None)?;
        ip(&format!(
            "route add 10.{net}.0.0/16 via 10.{net}.{OWN_SITE}.1"
        ))?;
        for index in 0..self.sites {
            let namespace = self.site(index).namespace;
            ip(&format!("netns add {namespace}"))?;
            ip(&format!("-n {namespace} link set lo up"))?;
            self.connect(index, Some(&namespace))?;
            ip(&format!(
                "-n {namespace} route add default via 10.{net}.{index}.1"
            ))?;
        }
        Ok(())
    }

    /// Lays a cable from the router to a site: a namespace, or that of the test.
    fn connect(&self, index: usize, namespace: Option<&str>) -> Result<(), String> {
        let (hub, net) = (self.hub(), self.net);
        let (near, far) = (format!("aph{net}n{index}"), format!("aph{net}f{index}"));
        ip(&format!(
            "link add {near} type veth peer name {far} netns {hub}"
        ))?;
        let site = match namespace {
            Some(namespace) => {
                ip(&format!("link set {near} netns {namespace}"))?;
                format!("-n {namespace} ")
            }
            None => String::new(),
        };
        let at_site = |arguments: &str| ip(&format!("{site}{arguments}"));
        at_site(&format!("addr add 10.{net}.{index}.2/24 dev {near}"))?;
        at_site(&format!("link set {near} up"))?;
        ip(&format!(
            "-n {hub} addr add 10.{net}.{index}.1/24 dev {far}"
        ))?;
        ip(&format!("-n {hub} link set {far} up"))
    }

    /// From now on nothing that one site sends to the other arrives, and nobody is told.
    pub(crate) fn cut(&self, from: usize, to: usize) {
        self.rule("add", from, to);
    }

    /// From now on nothing of this connection of the test arrives, in either direction, and nobody is told.
    pub(crate) fn cut_connection(&self, connection: &TcpStream) {
        let hub = self.hub();
        let ends = [connection.local_addr(), connection.peer_addr()];
        let [own, node] = ends.map(|end| end.expect("the connection stands"));
        for (from, to) in [(own, node), (node, own)] {
            ip(&format!(
                "-n {hub} rule add from {} to {} ipproto tcp sport {} dport {} blackhole",
                from.ip(),
                to.ip(),
                from.port(),
                to.port()
            ))
            .expect("the router takes a rule");
        }
    }

    /// Lets arrive again what one site sends to the other.
    pub(crate) fn heal(&self, from: usize, to: usize) {
        self.rule("del", from, to);
    }

    /// Parts one side from the other, in both directions.
    pub(crate) fn part(&self, sides: (&[usize], &[usize])) {
        for (one, other) in pairs(sides.0, sides.1) {
            self.cut(one, other);
            self.cut(other, one);
        }
    }

    /// Undoes that.
    pub(crate) fn join(&self, sides: (&[usize], &[usize])) {
        for (one, other) in pairs(sides.0, sides.1) {
            self.heal(one, other);
            self.heal(other, one);
        }
    }

    fn rule(&self, change: &str, from: usize, to: usize) {
        let (hub, from, to) = (self.hub(), self.site(from).ip, self.site(to).ip);
        ip(&format!(
            "-n {hub} rule {change} from {from} to {to} blackhole"
        ))
        .unwrap();
    }
}

fn pairs(one: &[usize], other: &[usize]) -> Vec<(usize, usize)> {
    let with_others = |it: &usize| other.iter().map(|other| (*it, *other)).collect::<Vec<_>>();
    one.iter().flat_map(with_others).collect()
}

impl Drop for Network {
    fn drop(&mut self) {
        // Their cables and routes go with the namespaces; a network that was raised half has fewer of them.
        for index in 0..self.sites {
            let _gone = ip(&format!("netns del {}", self.site(index).namespace));
        }
        let _gone = ip(&format!("netns del {}", self.hub()));
    }
}

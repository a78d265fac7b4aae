//! How a node is to be started.

use std::ffi::OsString;
use std::net::Ipv4Addr;

use super::network::Site;

/// The program.
pub(super) const ANTIPHON: &str = env!("CARGO_BIN_EXE_antiphon");

/// The setup of a node. Not running yet.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(super) name: String,
    pub(super) program: String,
    pub(super) secret: Option<String>,
    pub(super) arguments: Vec<String>,
    pub(super) site: Option<Site>,
    pub(super) config: String,
    pub(super) port: Option<u16>,
    pub(super) ip: Ipv4Addr,
    pub(super) open_files: Option<u32>,
    pub(super) clock: Option<String>,
    pub(super) path: Option<OsString>,
}

impl Setup {
    /// A node of this name, alone, which makes its own secret.
    pub(crate) fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            program: ANTIPHON.to_owned(),
            secret: None,
            arguments: Vec::new(),
            site: None,
            config: String::new(),
            port: None,
            ip: Ipv4Addr::LOCALHOST,
            open_files: None,
            clock: None,
            path: None,
        }
    }

    /// With another list of folders with programs.
    pub(crate) fn path(mut self, path: impl Into<OsString>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Run by another program than this build's.
    pub(crate) fn program(mut self, path: &str) -> Self {
        self.program = path.to_owned();
        self
    }

    /// With a clock that is off by so much, such as `+1h`; see [`TestNode::set_clock`].
    pub(crate) fn clock(mut self, offset: &str) -> Self {
        self.clock = Some(offset.to_owned());
        self
    }

    /// Under another name.
    pub(crate) fn named_as(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// With this cluster secret.
    pub(crate) fn secret(mut self, secret: &str) -> Self {
        self.secret = Some(secret.to_owned());
        self
    }

    /// Joins whoever is at `HOST:PORT`.
    pub(crate) fn join(self, address: &str) -> Self {
        self.with(&["--join", address])
    }

    /// Joins whoever is at `HOST:PORT`, and nobody else who was named before.
    pub(crate) fn joining_only(mut self, address: &str) -> Self {
        remove_joins(&mut self.arguments);
        self.join(address)
    }

    /// With more arguments of `antiphon run`.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|it| (*it).to_owned()));
        self
    }

    /// In a network of the test's own.
    pub(crate) fn inside(mut self, site: Site) -> Self {
        self.site = Some(site);
        self
    }

    /// On this port, which was free a moment ago.
    pub(crate) fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// At another address of the loopback, which has millions of them.
    pub(crate) fn at(mut self, ip: Ipv4Addr) -> Self {
        self.ip = ip;
        self
    }

    /// With so many descriptors at most.
    pub(crate) fn open_files(mut self, most: u32) -> Self {
        self.open_files = Some(most);
        self
    }

    /// With lines of a settings file.
    pub(crate) fn configured(mut self, lines: &str) -> Self {
        self.config.push_str(lines);
        self
    }
}

pub(super) fn remove_joins(arguments: &mut Vec<String>) {
    while let Some(at) = arguments.iter().position(|it| it == "--join") {
        arguments.drain(at..at + 2);
    }
}

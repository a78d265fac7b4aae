//! The resources of a demo: ports, and a directory that is removed when it ends.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// A directory for the demo, removed with all its content.
#[derive(Debug)]
pub(super) struct DemoFolder(PathBuf);

impl DemoFolder {
    /// Makes a new directory that no other user can read: it will hold a secret and passwords.
    pub(super) fn new() -> anyhow::Result<Self> {
        let tag = getrandom::u64().context("the system has no random numbers")?;
        let path = std::env::temp_dir().join(format!("antiphon-demo-{tag:016x}"));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }

    /// The path of the directory.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The data directory of a node; the first is 1.
    pub(super) fn data_dir(&self, node: usize) -> PathBuf {
        self.0.join(format!("data-{node}"))
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        // A file that cannot be removed now is left to the system's own cleaning.
        let _left = fs::remove_dir_all(&self.0);
    }
}

/// The ports from `first` on, if all of them are free.
///
/// The ports are not held: one may be taken between this check and the start of its node, which then reports it.
pub(super) fn free_ports(first: u16, nodes: u16) -> anyhow::Result<Vec<u16>> {
    let last = first.checked_add(nodes - 1);
    ensure!(
        last.is_some(),
        "{nodes} nodes from port {first} on would need ports above 65535; give a lower --port"
    );
    let ports: Vec<u16> = (first..).take(usize::from(nodes)).collect();
    for port in &ports {
        let address = (Ipv4Addr::LOCALHOST, *port);
        let why = || format!("cannot use port {port} on 127.0.0.1; give another one with --port");
        TcpListener::bind(address).with_context(why)?;
        UdpSocket::bind(address).with_context(why)?;
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_place_is_private_and_gone_at_the_end() {
        let place = DemoFolder::new().unwrap();
        let path = place.path().to_owned();
        fs::write(path.join("x"), "y").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = format!("{:#}", free_ports(port, 1).unwrap_err());
        assert!(error.contains(&format!("port {port} ")), "{error}");
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(free_ports(port, 1).is_err());
        assert!(free_ports(65_535, 2).is_err());
    }
}

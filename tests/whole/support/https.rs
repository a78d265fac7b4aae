//! Nodes that speak HTTPS by the tests' authority, and openssl as a client of theirs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::ca::{Issued, TestCa};
use super::mesh::TestMesh;
use super::node::{Setup, TestNode};

/// A folder with a certificate for the loopback, and the authority's own.
#[derive(Debug)]
pub(crate) struct TlsFolder {
    folder: TempDir,
    arguments: [String; 4],
    ca: PathBuf,
}

impl TlsFolder {
    /// With a certificate for the loopback.
    pub(crate) fn new() -> Self {
        Self::with(&TestCa::get().issue_for_loopback())
    }

    /// With this certificate.
    pub(crate) fn with(issued: &Issued) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            arguments: issued.write_into(folder.path()),
            ca: TestCa::get().write_into(folder.path()),
            folder,
        }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The file of the authority's certificate.
    pub(crate) fn ca(&self) -> &str {
        self.ca.to_str().unwrap()
    }

    /// Puts another certificate in the place of the one that is there.
    pub(crate) fn replace(&self, issued: &Issued) {
        let _same = issued.write_into(self.path());
    }

    /// A node with the certificate.
    pub(crate) fn of(&self, setup: Setup) -> Setup {
        setup.with(&self.arguments.each_ref().map(String::as_str))
    }

    /// So many nodes with the certificate.
    pub(crate) fn mesh(&self, nodes: usize) -> TestMesh {
        TestMesh::start_with(nodes, |_, setup| self.of(setup))
    }

    /// `openssl s_client` at `HOST:PORT` with these options. What it is to send, it is given at once.
    pub(crate) fn openssl(&self, address: &str, options: &str, sends: &str) -> Output {
        let mut command = Command::new("sh");
        let script = "printf %s \"$0\" | exec timeout 20 openssl s_client \"$@\"";
        command.args(["-c", script, sends, "-connect", address]);
        command.args(["-CAfile", self.ca()]);
        command.args(options.split_whitespace());
        command.stdin(Stdio::null()).output().unwrap()
    }
}

/// The address of a further port of a node, which its log tells in a line with these words.
pub(crate) fn further_port(node: &TestNode, words: &str) -> String {
    let log = node.log();
    let line = log.lines().find(|line| line.contains(words));
    let address = line.and_then(|line| line.split_once("address=")).unwrap().1;
    let end = |letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ':';
    address.split(end).next().unwrap().to_owned()
}

/// All that a program has said.
pub(crate) fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    [String::from_utf8_lossy(out), String::from_utf8_lossy(err)].concat()
}

//! `dig`, the resolver by hand that every operator knows.

use std::fmt;
use std::net::SocketAddr;
use std::process::Command;

/// An answer as dig shows it.
#[derive(Clone, Debug)]
pub(crate) struct Dug {
    text: String,
}

impl fmt::Display for Dug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Asks a server, with more words of dig's own: `stream.radio.example AAAA +tcp`.
pub(crate) fn dig(server: SocketAddr, words: &str) -> Dug {
    let output = Command::new("dig")
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        // One try of a second: a lost datagram is a finding here.
        .args(["+tries=1", "+time=2", "+norecurse", "+nocookie"])
        .args(words.split(' '))
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    Dug { text }
}

impl Dug {
    /// `NOERROR`, `NXDOMAIN` and so on; nothing if there was no answer.
    pub(crate) fn status(&self) -> &str {
        let after = self.text.split("status: ").nth(1).unwrap_or_default();
        after.split(',').next().unwrap_or_default()
    }

    /// `aa`, `tc` and so on.
    pub(crate) fn flags(&self) -> Vec<&str> {
        let after = self.text.split(";; flags: ").nth(1).unwrap_or_default();
        let flags = after.split(';').next().unwrap_or_default();
        flags.split_whitespace().collect()
    }

    /// The records of a section, each in its columns: owner, TTL, class, kind and the rest.
    pub(crate) fn section(&self, name: &str) -> Vec<Vec<&str>> {
        let head = format!(";; {name} SECTION:\n");
        let after = self.text.split(&head).nth(1).unwrap_or_default();
        let lines = after
            .lines()
            .take_while(|line| !line.is_empty() && !line.starts_with(";;"));
        lines
            .map(|line| line.split_whitespace().collect())
            .collect()
    }

    /// The last columns of what was answered, in order of the text.
    pub(crate) fn answers(&self) -> Vec<String> {
        let answers = self.section("ANSWER").into_iter();
        let mut answers: Vec<String> = answers.map(|columns| columns[4..].join(" ")).collect();
        answers.sort();
        answers
    }

    /// Whether a line of it holds these words.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }
}

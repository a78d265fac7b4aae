//! `icecast.xml` for the Icecast that serves a node's listeners, and the sign that it was read.
//!
//! Each configuration has a number, which stands in `<location>`: Icecast shows that in its statistics, so that a reload
//! is seen to have happened.

use std::collections::BTreeMap;

use crate::model::mount::{MountName, MountSpec};
use crate::wire::outside;
use crate::wire::xml::escaped;

/// The user that may see the statistics and set titles.
pub const ADMIN: &str = "admin";
/// The user that sources log in as.
pub const SOURCE: &str = "source";

/// The words before the number of a configuration.
const MARK: &str = "antiphon configuration ";
/// The rules for a mount that has just been made, and is fed before Icecast has read the file that names it: its titles
/// would be in Latin-1 for as long as it is fed.
const DEFAULT_MOUNT: &str =
    "<mount type=\"default\"><public>0</public><charset>UTF-8</charset></mount>\n";
/// How far a listener may be behind before Icecast ends it: half a minute of 256 kbit/s, as much as a ring usually holds.
const QUEUE_BYTES: u32 = 1 << 20;
/// The bytes that a new listener is sent at once: Icecast's own usual size, 4 s of 128 kbit/s.
const BURST_BYTES: u32 = 64 << 10;
/// How long a mount may be silent before Icecast ends it, seconds. The node decides that, so it is as good as never.
const SOURCE_TIMEOUT_S: u32 = 7 * 24 * 60 * 60;
/// Connections besides those of listeners and sources: statistics and titles.
const OTHER_CLIENTS: u32 = 32;

/// Everything that the file says.
#[derive(Clone, Copy, Debug)]
pub struct ServerConfig<'a> {
    /// The number of this configuration.
    pub number: u64,
    /// The port on the loopback.
    pub port: u16,
    /// The most listeners.
    pub max_listeners: u32,
    /// The password of sources.
    pub source_password: &'a str,
    /// The password of the admin.
    pub admin_password: &'a str,
    /// The folder of the access log.
    pub folder: &'a str,
    /// The mounts.
    pub mounts: &'a BTreeMap<MountName, MountSpec>,
}

/// Why a configuration is not given to Icecast: what was written is read back as something else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadServerConfig {
    /// The text is not XML.
    #[error("the icecast.xml that was made is not XML: {0}")]
    NotXml(String),
    /// The text is XML that says something else.
    #[error("the icecast.xml that was made says something else of {0} than was meant")]
    OtherMeaning(&'static str),
}

impl ServerConfig<'_> {
    /// The text of the file, which has been read back and found to say the same.
    pub fn write(&self) -> Result<String, BadServerConfig> {
        let text = self.text();
        self.check(&text)?;
        Ok(text)
    }

    fn text(&self) -> String {
        let sources = u32::try_from(self.mounts.len()).unwrap_or(u32::MAX);
        // A mount that is fed anew may have its last source for a moment.
        let sources = sources.saturating_mul(2).saturating_add(1);
        let clients = self.max_listeners.saturating_add(sources);
        let clients = clients.saturating_add(OTHER_CLIENTS);
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!-- Written by antiphon, which writes it again whenever a mount changes: edits are lost. -->\n\
             <icecast>\n\
             <location>{MARK}{number}</location>\n\
             <admin>antiphon</admin>\n\
             <hostname>localhost</hostname>\n\
             <fileserve>0</fileserve>\n\
             <limits><clients>{clients}</clients><sources>{sources}</sources>\
             <queue-size>{QUEUE_BYTES}</queue-size><burst-size>{BURST_BYTES}</burst-size>\
             <source-timeout>{SOURCE_TIMEOUT_S}</source-timeout></limits>\n\
             <authentication><source-password>{source}</source-password>\
             <admin-user>{ADMIN}</admin-user><admin-password>{admin}</admin-password></authentication>\n\
             <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>\n",
            number = self.number,
            port = self.port,
            source = escaped(self.source_password),
            admin = escaped(self.admin_password),
        );
        text += DEFAULT_MOUNT;
        for spec in self.mounts.values() {
            text += &mount(spec);
        }
        let folder = escaped(self.folder);
        text += &format!(
            "<paths><basedir>{folder}</basedir><logdir>{folder}</logdir><webroot>{folder}</webroot>\
             <adminroot>{folder}</adminroot></paths>\n\
             <logging><accesslog>access.log</accesslog><errorlog>-</errorlog><loglevel>2</loglevel>\
             <logsize>1024</logsize></logging>\n\
             <security><chroot>0</chroot></security>\n\
             </icecast>\n"
        );
        text
    }

    fn check(&self, text: &str) -> Result<(), BadServerConfig> {
        let read = outside::parse(text).map_err(|it| BadServerConfig::NotXml(it.to_string()))?;
        let root = read.root_element();
        let said = |path: &[&str]| {
            let mut node = Some(root);
            for name in path {
                node = node.and_then(|node| outside::child_node(node, name));
            }
            node.and_then(|node| node.text()).unwrap_or_default()
        };
        let mounts = root.children().filter(|it| it.has_tag_name("mount"));
        let names = mounts.filter_map(|it| outside::child(it, "mount-name"));
        let checks = [
            ("its kind", root.has_tag_name("icecast")),
            (
                "the port",
                said(&["listen-socket", "port"]) == self.port.to_string(),
            ),
            (
                "the sources' password",
                said(&["authentication", "source-password"]) == self.source_password,
            ),
            (
                "the admin's password",
                said(&["authentication", "admin-password"]) == self.admin_password,
            ),
            ("the folder", said(&["paths", "logdir"]) == self.folder),
            (
                "the mounts",
                names.eq(self.mounts.keys().map(ToString::to_string)),
            ),
        ];
        let wrong = checks.into_iter().find(|(_, same)| !same);
        wrong.map_or(Ok(()), |(what, _)| Err(BadServerConfig::OtherMeaning(what)))
    }
}

fn mount(spec: &MountSpec) -> String {
    let mut text = format!(
        "<mount type=\"normal\"><mount-name>{}</mount-name><public>0</public><charset>UTF-8</charset>",
        escaped(&spec.path.to_string())
    );
    if spec.hidden {
        text += "<hidden>1</hidden>";
    }
    for (tag, said) in [
        ("stream-name", &spec.name),
        ("stream-description", &spec.description),
        ("genre", &spec.genre),
        ("stream-url", &spec.url),
    ] {
        if !said.is_empty() {
            text += &format!("<{tag}>{}</{tag}>", escaped(said));
        }
    }
    text + "</mount>\n"
}

/// The number of the configuration that an Icecast runs by, according to its statistics; `None`: another one's, or none.
pub fn number_in_stats(body: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(body);
    let stats = outside::parse(&text).ok()?;
    outside::child(stats.root_element(), "location")?
        .strip_prefix(MARK)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use roxmltree::Document;

    use super::*;

    fn mounts(names: &[&str]) -> BTreeMap<MountName, MountSpec> {
        let specs = names
            .iter()
            .map(|name| MountSpec::new(name.parse().unwrap()));
        specs.map(|spec| (spec.path.clone(), spec)).collect()
    }

    fn config(mounts: &BTreeMap<MountName, MountSpec>) -> ServerConfig<'_> {
        ServerConfig {
            number: 7,
            port: 8_500,
            max_listeners: 100,
            source_password: "s",
            admin_password: "a",
            folder: "/run/x",
            mounts,
        }
    }

    #[test]
    fn every_mount_is_written_and_nothing_is_open_to_the_world() {
        let mut all = mounts(&["/a.mp3", "/b/c.ogg"]);
        let spec = all.values_mut().next().unwrap();
        (spec.name, spec.hidden) = ("Rock & <Roll>".to_owned(), true);
        let text = config(&all).write().unwrap();
        let read = Document::parse(&text).unwrap();
        let of = |name: &str| {
            let found = read.descendants().filter(|it| it.has_tag_name(name));
            let found = found.map(|it| it.text().unwrap_or_default());
            found.collect::<Vec<_>>()
        };
        assert_eq!(of("mount-name"), ["/a.mp3", "/b/c.ogg"]);
        assert_eq!(of("stream-name"), ["Rock & <Roll>"]);
        assert_eq!(of("hidden"), ["1"]);
        assert_eq!(of("bind-address"), ["127.0.0.1"]);
        assert_eq!(of("clients"), ["137"]);
        assert_eq!(of("public"), ["0"; 3]);
        assert!(of("relay").is_empty() && of("directory").is_empty());
    }

    #[test]
    fn what_is_not_read_back_as_it_was_meant_is_refused() {
        let all = mounts(&["/a.mp3"]);
        let said = |config: ServerConfig<'_>| config.write().unwrap_err().to_string();
        let odd = ServerConfig {
            source_password: "a\nb",
            ..config(&all)
        };
        assert!(said(odd).contains("the sources' password"));
        let text = config(&all).text();
        let other = mounts(&["/b.mp3"]);
        let wrong = config(&other).check(&text);
        assert_eq!(wrong, Err(BadServerConfig::OtherMeaning("the mounts")));
        let broken = config(&all).check(&text[1..]);
        assert!(matches!(broken, Err(BadServerConfig::NotXml(_))));
    }

    #[test]
    fn the_number_is_found_in_the_statistics() {
        let stats = "<?xml version=\"1.0\"?>\n<icestats><admin>x</admin><location>antiphon configuration 42</location></icestats>";
        assert_eq!(number_in_stats(stats.as_bytes()), Some(42));
        for other in [
            "<icestats><location>Earth</location></icestats>",
            "<icestats/>",
            "",
            "no",
        ] {
            assert_eq!(number_in_stats(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_of_an_operator_breaks_the_file(name: String, url: String) {
            let mut all = mounts(&["/a.mp3"]);
            let spec = all.values_mut().next().unwrap();
            (spec.name, spec.url) = (name, url);
            prop_assert!(config(&all).write().is_ok());
        }

        #[test]
        fn no_statistics_make_it_panic(body: Vec<u8>) {
            let _ = number_in_stats(&body);
        }
    }
}

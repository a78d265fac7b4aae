//! A stock icecast2 as a server that rows are tried at.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::row::{Prepared, Relay, Row, Settings, Upstream};
use crate::rows;
use crate::server::{
    Login, MISSING_HEADER, Mounts, Process, RELAY, SHOUTCAST_MOUNT, SOURCE, Server, files,
    free_ports,
};
use crate::socket::RawSocket;
use crate::target::first_mount;
use crate::upstreams::Upstreams;

/// The folder in which distributions put its pages.
const PAGES: &str = "/usr/share/icecast2";
/// How long a start may take, of which it needs a twentieth.
const STARTED: Duration = Duration::from_secs(5);
/// How often it is started: once in some dozen starts this program stands still before it listens.
const STARTS: u32 = 4;
/// How long a head may take: less than its usual 15 s, so that the test is short.
const HEAD_LIMIT: Duration = Duration::from_secs(6);
/// How often a slave asks which streams there are, seconds.
const SLAVE_POLLS_S: u32 = 2;
/// The password of its admin.
const ADMIN: &str = "admin-pw";

/// The variable that names the program of an Icecast-KH, which no distribution has.
const KH_PROGRAM: &str = "ANTIPHON_CONFORMANCE_KH";

/// The kind of Icecast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// The stock icecast2.
    Stock,
    /// Icecast-KH, a fork.
    Kh,
}

/// Whether an Icecast-KH is named.
pub(crate) fn have_kh() -> bool {
    env::var_os(KH_PROGRAM).is_some()
}

/// Starts an Icecast-KH, prepared like this.
pub(crate) fn start_kh(prepared: Prepared, upstreams: Option<&Upstreams>) -> Server {
    let relays: String = match upstreams {
        Some(upstreams) => rows::all().map(|row| kh_relays(row, upstreams)).collect(),
        None => String::new(),
    };
    start_with(Flavour::Kh, prepared, &relays)
}

/// Starts one, prepared like this.
pub(crate) fn start(prepared: Prepared, upstreams: Option<&Upstreams>) -> Server {
    let relays: String = match upstreams {
        Some(upstreams) => rows::all().map(|row| relays(row, upstreams)).collect(),
        None => String::new(),
    };
    start_with(Flavour::Stock, prepared, &relays)
}

/// Starts one that is the slave of a server, and relays all its streams.
pub(crate) fn start_slave(master: &Server, login: &Login) -> Server {
    let (host, port) = master.address.split_once(':').expect("a host and a port");
    let Login { user, password } = login;
    let words = format!(
        "<master-server>{host}</master-server><master-server-port>{port}</master-server-port>\
         <master-update-interval>{SLAVE_POLLS_S}</master-update-interval>\
         <master-username>{user}</master-username><master-password>{password}</master-password>\
         <relays-on-demand>0</relays-on-demand>"
    );
    start_with(Flavour::Stock, Prepared::Nothing, &words)
}

/// Starts one with more words in its settings.
fn start_with(flavour: Flavour, prepared: Prepared, more: &str) -> Server {
    let home = tempfile::tempdir().unwrap();
    let web = home.path().join("web");
    files(&web);
    for page in ["status-json.xsl", "status.xsl", "xml2json.xslt"] {
        fs::copy(Path::new(PAGES).join("web").join(page), web.join(page)).unwrap();
    }
    // As root it becomes somebody else, who must be able to read all this and to write logs.
    fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
    let config = home.path().join("icecast.xml");
    for _ in 0..STARTS {
        let port = free_ports(2);
        fs::write(
            &config,
            settings((flavour, home.path()), port, prepared, more),
        )
        .unwrap();
        let mut child = launch(flavour, &config);
        if comes_up(&format!("127.0.0.1:{port}")) {
            let logs = ["error.log", "playlist.log"].map(Into::into);
            return Server {
                address: format!("127.0.0.1:{port}"),
                source: Login::new(SOURCE[0], SOURCE[1]),
                admin: Some(Login::new("admin", ADMIN)),
                relay: Some(Login::new(RELAY[0], RELAY[1])),
                shoutcast: Some(format!("127.0.0.1:{}", port + 1)),
                head_limit: Some(HEAD_LIMIT),
                mounts: Mounts::Configured,
                has_files: true,
                process: Some(Process {
                    child,
                    home,
                    logs: logs.to_vec(),
                }),
                shoutcast_turn: Mutex::new(()),
            };
        }
        let _ended = child.kill().and_then(|()| child.wait());
    }
    panic!("icecast2 does not start");
}

fn comes_up(address: &str) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < STARTED {
        let asked = RawSocket::open(address).and_then(|mut socket| {
            socket.send("GET /status-json.xsl HTTP/1.0\r\n\r\n")?;
            socket.reply()
        });
        if asked.is_ok_and(|reply| reply.head.status == 200) {
            return true;
        }
        thread::sleep(Duration::from_millis(50));
    }
    false
}

fn launch(flavour: Flavour, config: &Path) -> Child {
    let program = match flavour {
        Flavour::Stock => "icecast2".into(),
        Flavour::Kh => env::var_os(KH_PROGRAM).unwrap_or_default(),
    };
    let mut command = Command::new(program);
    command.arg("-c").arg(config).stdin(Stdio::null());
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn settings(place: (Flavour, &Path), port: u16, prepared: Prepared, more: &str) -> String {
    let (flavour, home) = place;
    // A file that is a fallback counts as a source.
    let own = rows::all().filter(|row| row.needs.server == prepared || !prepared.is_alone());
    let mounts: String = own.map(|row| mounts(flavour, home, row)).collect();
    let sources = if prepared == Prepared::OneSource {
        1
    } else {
        200
    };
    let (home, limit, [_, password]) = (home.display(), HEAD_LIMIT.as_secs(), SOURCE);
    let changed = match rustix::process::geteuid().is_root() {
        true => "<changeowner><user>nobody</user><group>nogroup</group></changeowner>",
        false => "",
    };
    let [name, value] = MISSING_HEADER;
    format!(
        "<icecast><hostname>localhost</hostname>\
         <limits><clients>500</clients><sources>{sources}</sources><header-timeout>{limit}</header-timeout></limits>\
         <authentication><source-password>{password}</source-password>\
         <admin-user>admin</admin-user><admin-password>{ADMIN}</admin-password>\
         <relay-user>{}</relay-user><relay-password>{}</relay-password></authentication>\
         <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address>\
         <shoutcast-mount>{SHOUTCAST_MOUNT}</shoutcast-mount></listen-socket>\
         <http-headers><header name=\"{name}\" value=\"{value}\" status=\"404\"/></http-headers>{mounts}\
         <fileserve>1</fileserve>\
         <paths><basedir>{home}</basedir><logdir>{home}</logdir><webroot>{home}/web</webroot>\
         <adminroot>{PAGES}/admin</adminroot></paths>\
         <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog>\
         <playlistlog>playlist.log</playlistlog><loglevel>3</loglevel></logging>\
         <security><chroot>0</chroot>{changed}</security>{more}</icecast>",
        RELAY[0], RELAY[1]
    )
}

/// A row's mounts with their settings, in the words of Icecast.
fn mounts(flavour: Flavour, home: &Path, row: &Row) -> String {
    let first = first_mount(row.number);
    let one = |name: String, settings: Settings| match settings.is_empty() {
        true => String::new(),
        false => format!(
            "<mount type=\"normal\"><mount-name>{name}</mount-name>{}</mount>",
            words(flavour, home, settings)
        ),
    };
    let others = row.needs.others.iter();
    let others = others.map(|(letter, settings)| one(format!("{first}{letter}"), settings));
    one(first.clone(), row.needs.mount) + &others.collect::<String>()
}

/// A row's relays in the words of Icecast, which knows one address of each, and no TLS.
fn relays(row: &Row, upstreams: &Upstreams) -> String {
    let one = |relay: &Relay| {
        let url = upstreams.url(*relay.from.first()?)?;
        let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
        let (host, port) = host.split_once(':')?;
        let (name, on_demand) = (first_mount(row.number), u8::from(relay.on_demand));
        Some(format!(
            "<relay><server>{host}</server><port>{port}</port><mount>/{path}</mount><local-mount>{name}{}</local-mount>\
             <on-demand>{on_demand}</on-demand><relay-shoutcast-metadata>1</relay-shoutcast-metadata></relay>",
            relay.letter
        ))
    };
    row.needs.relays.iter().filter_map(one).collect()
}

/// A row's relays in the words of Icecast-KH, which knows several addresses of each.
fn kh_relays(row: &Row, upstreams: &Upstreams) -> String {
    let host = |upstream: &Upstream| {
        let (scheme, rest) = upstreams.url(*upstream)?.split_once("://").map(owned)?;
        let (host, path) = rest.split_once('/').map(owned)?;
        let (host, port) = host.split_once(':').map(owned)?;
        let tls = u8::from(scheme == "https");
        Some(format!(
            "<host><ip>{host}</ip><port>{port}</port><mount>/{path}</mount><tls>{tls}</tls></host>"
        ))
    };
    let one = |relay: &Relay| {
        let hosts: String = relay.from.iter().filter_map(host).collect();
        let (name, on_demand) = (first_mount(row.number), u8::from(relay.on_demand));
        format!(
            "<relay>{hosts}<local-mount>{name}{}</local-mount><on-demand>{on_demand}</on-demand>\
             <relay-shoutcast-metadata>1</relay-shoutcast-metadata></relay>",
            relay.letter
        )
    };
    row.needs.relays.iter().map(one).collect()
}

fn owned(pair: (&str, &str)) -> (String, String) {
    (pair.0.to_owned(), pair.1.to_owned())
}

fn words(flavour: Flavour, home: &Path, settings: Settings) -> String {
    let word = |setting: &(&str, &str)| {
        let (name, value) = (setting.0, setting.1);
        match name {
            "user" => format!("<username>{value}</username>"),
            "password" => format!("<password>{value}</password>"),
            "source_timeout_s" => format!("<source-timeout>{value}</source-timeout>"),
            "max_listeners" => format!("<max-listeners>{value}</max-listeners>"),
            "max_listener_s" => format!("<max-listener-duration>{value}</max-listener-duration>"),
            "intro" => format!("<intro>/{value}</intro>"),
            "hidden" => "<hidden>1</hidden>".to_owned(),
            "fallback" => {
                let value = value.replace("file:", "/");
                format!("<fallback-mount>{value}</fallback-mount>")
            }
            "fallback_override" => "<fallback-override>1</fallback-override>".to_owned(),
            "fallback_when_full" => "<fallback-when-full>1</fallback-when-full>".to_owned(),
            "http_headers" => {
                let (header, value) = value.split_once(": ").expect("a header");
                format!(
                    "<http-headers><header name=\"{header}\" value=\"{value}\"/></http-headers>"
                )
            }
            "htpasswd" => {
                let file = home.join(value).display().to_string();
                format!(
                    "<authentication type=\"htpasswd\"><option name=\"filename\" value=\"{file}\"/></authentication>"
                )
            }
            "linger_s" if flavour == Flavour::Kh => format!("<linger-for>{value}</linger-for>"),
            "takeover" if flavour == Flavour::Kh => "<hijack>1</hijack>".to_owned(),
            // What Icecast has no word for, and the one listener of an account that it allows.
            "linger_s" | "takeover" | "max_per_account" => String::new(),
            _ => panic!("{name} has no word in icecast.xml"),
        }
    };
    settings.iter().map(word).collect()
}

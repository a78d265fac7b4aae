//! The part of an `icecast.xml` that is for the whole server, and what becomes of it here.

use super::plan::Plan;
use super::values::{ICECAST_PORT, SAMPLE_PASSWORD, header_rules, login, told, with_slash};
use crate::logic::records::import::IMPORT_KIND;
use crate::model::network::Network;
use crate::wire::icecast::config_file::ConfigElement;

/// The folders of Icecast's own pages: nobody has pages of their own there.
const STOCK_WEB_ROOTS: [&str; 5] = [
    "/usr/share/icecast2/web",
    "/usr/local/share/icecast/web",
    "/usr/share/icecast/web",
    "/usr/local/share/icecast2/web",
    "./web",
];
/// The words for what a node does without being told, by the path of the element.
const BY_ITSELF: [(&str, &str); 39] = [
    ("fileserve", "files are served when web_root is set"),
    ("server-id", "answers say antiphon"),
    ("limits/threadpool", "threads follow the processors"),
    ("limits/workers", "threads follow the processors"),
    (
        "limits/queue-size",
        "each node keeps ring_s seconds of a stream, 30 if you don't say: antiphon mount set /MOUNT ring_s=60",
    ),
    (
        "limits/min-queue-size",
        "each node keeps ring_s seconds of a stream: antiphon mount set /MOUNT ring_s=60",
    ),
    (
        "limits/client-timeout",
        "slow clients have bounds of their own",
    ),
    (
        "limits/header-timeout",
        "slow heads have bounds of their own",
    ),
    (
        "limits/body-timeout",
        "slow clients have bounds of their own",
    ),
    (
        "limits/burst-on-connect",
        "a listener gets five seconds at once",
    ),
    (
        "limits/burst-size",
        "a listener gets five seconds at once, whatever the bitrate",
    ),
    ("limits/max-listener", "max_listeners is that of the node"),
    ("relay-config", "see each relay"),
    ("paths/basedir", "data_dir is where a node keeps its own"),
    (
        "paths/adminroot",
        "the page of a node is built in, and all addresses below /admin are answered",
    ),
    ("paths/pidfile", "systemd knows the process"),
    ("paths/report-db", "answers are words"),
    ("paths/mime-types", "types follow from the endings of files"),
    (
        "paths/ssl-allowed-ciphers",
        "TLS 1.2 and 1.3 with sound ciphers only",
    ),
    (
        "paths/tls-allowed-ciphers",
        "TLS 1.2 and 1.3 with sound ciphers only",
    ),
    (
        "tls-context/tls-allowed-ciphers",
        "TLS 1.2 and 1.3 with sound ciphers only",
    ),
    ("logging/logsize", "see docs/logs.md"),
    ("logging/logarchive", "see docs/logs.md"),
    ("logging/logdir", "see docs/logs.md"),
    ("logging/accesslog", "see docs/logs.md"),
    ("logging/accesslog_ip", "see docs/logs.md"),
    ("logging/playlistlog", "see docs/logs.md"),
    (
        "logging/errorlog",
        "the log is on stderr, which systemd keeps: journalctl -u antiphon",
    ),
    ("paths/logdir", "see docs/logs.md"),
    (
        "security/chroot",
        "run it as its own user: the systemd unit in docs/operations.md confines it",
    ),
    (
        "security/changeowner",
        "run it as its own user: the systemd unit in docs/operations.md does",
    ),
    ("security/tls-context", "see each setting"),
    (
        "master-redirect",
        "every node redirects by load: antiphon policy",
    ),
    (
        "max-redirect-slaves",
        "every node redirects by load: antiphon policy",
    ),
    (
        "slave-redirect",
        "every node redirects by load: antiphon policy",
    ),
    (
        "master-redirect-port",
        "every node redirects by load: antiphon policy",
    ),
    (
        "redirect",
        "every node redirects by load: antiphon policy, and overflow_url of a mount",
    ),
    ("cors", "listeners' answers allow every origin"),
    ("prng-seed", "random numbers come from the system"),
];
/// The words for what there is not, by the path of the element.
const MISSING: [(&str, &str); 14] = [
    ("directory", "streams are not announced in a directory yet"),
    (
        "yp-directory",
        "streams are not announced in a directory yet",
    ),
    (
        "paths/alias",
        "there are no aliases: a mount with the other as its fallback has the same stream, and files lie in web_root",
    ),
    (
        "paths/deny-ip",
        "addresses cannot be refused yet; in the meantime your firewall can",
    ),
    (
        "paths/allow-ip",
        "addresses cannot be refused yet; in the meantime your firewall can",
    ),
    ("paths/deny-agents", "players cannot be refused by name yet"),
    (
        "paths/ban-ip",
        "addresses cannot be refused yet; in the meantime your firewall can",
    ),
    ("event-bindings", "there are no events of your own"),
    ("event", "there are no events of your own"),
    (
        "limits/max-bandwidth",
        "max_bandwidth of a node is what its line can send, such as \"100M\", and spreads listeners by it: set it by hand",
    ),
    ("on-connect", "no program is started"),
    ("on-disconnect", "no program is started"),
    ("authentication/role", "there are no roles"),
    (
        "resource",
        "there are no virtual hosts: give the path itself",
    ),
];

/// The part of the server that is for its mounts.
#[derive(Clone, Debug, Default)]
pub(super) struct ForMounts {
    pub(super) source_password: Option<String>,
    pub(super) source_timeout_s: Option<String>,
}

/// Translates all that is not about one mount.
pub(super) fn translate(root: &ConfigElement, plan: &mut Plan) -> ForMounts {
    let mut for_mounts = ForMounts::default();
    for element in &root.children {
        match element.name.as_str() {
            "mount" | "relay" | "listen-socket" => {}
            "limits" | "paths" | "logging" | "security" | "authentication" | "master"
            | "tls-context" => {
                for child in &element.children {
                    let path = format!("{}/{}", element.name, child.name);
                    setting(&path, child, plan, &mut for_mounts);
                }
            }
            "http-headers" => headers(element, plan),
            name => setting(name, element, plan, &mut for_mounts),
        }
    }
    if let Some(paths) = root.child("paths") {
        trusted_proxies(paths, plan);
    }
    sockets(root, plan);
    master(root, plan);
    for_mounts
}

fn setting(path: &str, element: &ConfigElement, plan: &mut Plan, for_mounts: &mut ForMounts) {
    let text = element.text.as_str();
    match path {
        "location" => plan.set_text("location", text),
        "admin" => plan.set_text("admin", text),
        // With the port of the first socket.
        "hostname" => {}
        "limits/clients" => number("max_listeners", element, plan),
        "limits/sources" => number("max_sources", element, plan),
        "limits/source-timeout" => for_mounts.source_timeout_s = Some(text.to_owned()),
        "authentication/source-password" => match is_sample(element, plan) {
            true => plan.remark(
                element,
                "each mount gets a password of its own, which is shown when it is made",
            ),
            false => {
                for_mounts.source_password = Some(text.to_owned());
                plan.remark(
                    element,
                    "taken for the mounts that are named in this file; others have to be made first: antiphon mount create /NAME --password …",
                );
            }
        },
        "authentication/admin-password" if !is_sample(element, plan) => {
            plan.admin_password = Some(text.to_owned())
        }
        "authentication/relay-password" if !is_sample(element, plan) => {
            plan.relay_password = Some(text.to_owned())
        }
        "authentication/admin-password" | "authentication/relay-password" => {}
        "authentication/admin-user" if text == "admin" => {}
        "authentication/admin-user" => plan.remark(element, "the user is admin"),
        "authentication/relay-user" if text == "relay" => {}
        "authentication/relay-user" => plan.remark(element, "the user is relay"),
        "shoutcast-mount" => plan.set_text("shoutcast_mount", &with_slash(text)),
        "paths/webroot" => web_root(element, plan),
        "paths/ssl-certificate" | "paths/tls-certificate" | "tls-context/tls-certificate" => {
            plan.set_text("tls_cert", text);
            plan.remark(
                element,
                "taken as tls_cert; or let the mesh get its certificates by itself: docs/https.md",
            );
        }
        "paths/ssl-private-key" | "paths/tls-key" | "tls-context/tls-key" => {
            plan.set_text("tls_key", text)
        }
        // All of them together.
        "paths/x-forwarded-for" => {}
        "paths/alias" if element.attribute("source") == Some("/") => {}
        "logging/loglevel" => log_level(element, plan),
        "master-server"
        | "master-server-port"
        | "master-update-interval"
        | "master-username"
        | "master-password"
        | "relays-on-demand" => {}
        _ if path.starts_with("master/") => {}
        path => plan.remark(element, told(path, &BY_ITSELF, &MISSING)),
    }
}

/// Whether a password is that of Icecast's sample, which is not taken over.
fn is_sample(element: &ConfigElement, plan: &mut Plan) -> bool {
    let is_sample = element.text == SAMPLE_PASSWORD || element.text.is_empty();
    if is_sample {
        plan.remark(element, "not taken: everybody knows it");
    }
    is_sample
}

fn number(key: &'static str, element: &ConfigElement, plan: &mut Plan) {
    match element.text.parse::<u32>() {
        Ok(number) if number > 0 => plan.set(key, number.to_string()),
        _ => plan.remark(element, "not a number from 1"),
    }
}

fn web_root(element: &ConfigElement, plan: &mut Plan) {
    let path = element.text.as_str();
    if STOCK_WEB_ROOTS.contains(&path.trim_end_matches('/')) || path.is_empty() {
        return plan.remark(element, "nothing to do: a node has a page of its own");
    }
    plan.set_text("web_root", path);
    plan.remark(
        element,
        "taken as web_root, for files; pages that end in .xsl are not read: /status-json.xsl, /status.xsl and /7.xsl are answered",
    );
}

/// Adds proxies whose word on addresses is believed. Icecast-KH takes `*` for a part of an address.
fn trusted_proxies(paths: &ConfigElement, plan: &mut Plan) {
    let mut proxies = Vec::new();
    for element in paths
        .children
        .iter()
        .filter(|it| it.name == "x-forwarded-for")
    {
        let proxy = network(&element.text);
        match proxy.parse::<Network>() {
            Ok(_) => proxies.push(toml::Value::from(proxy)),
            Err(why) => plan.remark(element, format!("left out: {why}")),
        }
    }
    if !proxies.is_empty() {
        plan.set("trusted_proxies", toml::Value::Array(proxies).to_string());
    }
}

/// The network of an address with `*` in its last parts, such as `172.*.*.*`; other texts stay as they are.
fn network(text: &str) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    let kept = parts.iter().take_while(|part| **part != "*").count();
    let rest = parts.get(kept..).unwrap_or_default();
    if parts.len() != 4 || rest.is_empty() || rest.iter().any(|part| *part != "*") {
        return text.to_owned();
    }
    let known = parts.iter().take(kept).copied();
    let zeros = rest.iter().map(|_| "0");
    let address: Vec<&str> = known.chain(zeros).collect();
    format!("{}/{}", address.join("."), 8 * kept)
}

fn log_level(element: &ConfigElement, plan: &mut Plan) {
    let level = match element.text.to_ascii_lowercase().as_str() {
        "1" | "error" => "error",
        "2" | "warn" | "warning" => "warn",
        "3" | "4" | "info" | "information" | "debug" => "info",
        _ => {
            return plan.remark(
                element,
                "not known: log = \"info\" is what a node has if you don't say",
            );
        }
    };
    plan.set_text("log", level);
}

/// Translates headers of all answers.
fn headers(element: &ConfigElement, plan: &mut Plan) {
    let rules = header_rules(element, plan);
    let values: Vec<toml::Value> = rules.into_iter().map(toml::Value::from).collect();
    if !values.is_empty() {
        plan.set("http_headers", toml::Value::Array(values).to_string());
    }
}

/// Translates the sockets, and the address that listeners know.
fn sockets(root: &ConfigElement, plan: &mut Plan) {
    let port_of = |socket: &ConfigElement| {
        socket
            .text_of("port")
            .unwrap_or(ICECAST_PORT)
            .parse::<u16>()
    };
    let (mut plain, mut https, mut shoutcast) = (Vec::new(), Vec::new(), Vec::new());
    for socket in root.children.iter().filter(|it| it.name == "listen-socket") {
        let Ok(port) = port_of(socket) else {
            plan.remark(socket, "its port is not a number from 1 to 65535");
            continue;
        };
        let is_on = |name| socket.child(name).is_some_and(ConfigElement::is_on);
        match () {
            () if is_on("ssl") || is_on("tls") => https.push((socket, port)),
            () if is_on("shoutcast-compat") => shoutcast.push((socket, port)),
            () => plain.push((socket, port)),
        }
        if let Some(mount) = socket.text_of("shoutcast-mount") {
            plan.set_text("shoutcast_mount", &with_slash(mount));
            shoutcast.push((socket, port.saturating_add(1)));
        }
    }
    for (socket, _) in [plain.get(2..), https.get(1..), shoutcast.get(1..)]
        .into_iter()
        .flatten()
        .flatten()
    {
        plan.remark(socket, "no counterpart: a node has two ports for all, one for HTTPS alone and one for Shoutcast; all share one door");
    }
    if let Some((socket, port)) = plain.first() {
        let address = socket.text_of("bind-address").unwrap_or("0.0.0.0");
        let address = match address.contains(':') {
            true => format!("[{address}]:{port}"),
            false => format!("{address}:{port}"),
        };
        plan.set_text("listen", &address);
    }
    for (key, sockets) in [
        ("listen_http", plain.get(1..).unwrap_or_default()),
        ("listen_https", &https[..]),
        ("shoutcast_listen", &shoutcast[..]),
    ] {
        if let Some((_, port)) = sockets.first() {
            plan.set(key, port.to_string());
        }
    }
    let port = plain
        .first()
        .map_or(ICECAST_PORT.to_owned(), |(_, port)| port.to_string());
    match root.child("hostname") {
        Some(host) if host.text == "localhost" || host.text.is_empty() => {
            plan.remark(host, "name the address under which listeners and the other nodes reach this one: public_url");
        }
        Some(host) => plan.set_text("public_url", &format!("http://{}:{port}", host.text)),
        None => {}
    }
}

/// Translates the master of a slave: all its streams are imported.
fn master(root: &ConfigElement, plan: &mut Plan) {
    let of_master = root.child("master");
    let find = |old: &str, new: &str| {
        let nested = of_master.and_then(|master| master.child(new));
        root.child(old)
            .or(nested)
            .filter(|element| !element.text.is_empty())
    };
    let Some(server) = find("master-server", "server") else {
        return;
    };
    let text = |old, new, otherwise: &str| {
        find(old, new).map_or(otherwise.to_owned(), |it| it.text.clone())
    };
    let user = text("master-username", "username", "relay");
    let port = text("master-server-port", "port", ICECAST_PORT);
    let password = text("master-password", "password", "");
    let login = login(&user, &password);
    let list = format!("http://{login}{}:{port}/admin/streamlist.txt", server.text);
    plan.import.insert("import_streamlist", list);
    if let Some(interval) = find("master-update-interval", "interval") {
        plan.import
            .insert("import_interval_s", interval.text.clone());
    }
    if find("relays-on-demand", "on-demand").is_some_and(ConfigElement::is_on) {
        plan.import.insert("import_on_demand", "true".to_owned());
    }
    check_import(server, plan);
}

/// Leaves out what the settings of imports do not take.
fn check_import(server: &ConfigElement, plan: &mut Plan) {
    let is_right = |(key, text): (&&'static str, &mut String)| {
        let checked = IMPORT_KIND.changes([(*key, text.as_str())]);
        checked.map(drop).map_err(|why| why.to_string())
    };
    let mut wrong = Vec::new();
    plan.import.retain(|key, text| match is_right((key, text)) {
        Ok(()) => true,
        Err(why) => {
            wrong.push(why);
            false
        }
    });
    for why in wrong {
        plan.remark(server, format!("left out: {why}"));
    }
}

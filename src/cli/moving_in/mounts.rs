//! The part of an `icecast.xml` that is for one mount: its settings, its fallbacks, and the servers that it is relayed from.

use super::plan::{Plan, PlannedMount};
use super::server::ForMounts;
use super::values::{ICECAST_PORT, SAMPLE_PASSWORD, header_rules, login, told, with_slash};
use crate::cli::fields;
use crate::logic::records::mounts::MOUNT_KIND;
use crate::model::mount::MountName;
use crate::wire::icecast::config_file::ConfigElement;

/// The settings that are taken as they are, by the name of the element.
const SAME: [(&str, &str); 11] = [
    ("username", "user"),
    ("stream-name", "name"),
    ("stream-description", "description"),
    ("stream-url", "url"),
    ("genre", "genre"),
    ("charset", "charset"),
    ("max-listeners", "max_listeners"),
    ("max-listener-duration", "max_listener_s"),
    ("source-timeout", "source_timeout_s"),
    ("hidden", "hidden"),
    ("fallback-when-full", "fallback_when_full"),
];
/// The words for what a mount does without being told.
const BY_ITSELF: [(&str, &str); 14] = [
    ("bitrate", "it is found in the stream"),
    ("type", "it is found in the stream"),
    ("subtype", "it is found in the stream"),
    ("burst-size", "a listener gets five seconds at once"),
    (
        "min-queue-size",
        "each node keeps ring_s seconds of a stream",
    ),
    (
        "queue-size",
        "each node keeps ring_s seconds of a stream: antiphon mount set /MOUNT ring_s=60",
    ),
    (
        "mp3-metadata-interval",
        "players are told where titles stand",
    ),
    ("cluster-password", "every node carries every mount"),
    (
        "wait-time",
        "linger_s keeps listeners when a source has gone",
    ),
    (
        "linger-for",
        "linger_s keeps listeners when a source has gone",
    ),
    ("skip-accesslog", "see docs/logs.md"),
    ("accesslog", "see docs/logs.md"),
    (
        "redirect",
        "every node redirects by load; overflow_url is for when the mesh is full",
    ),
    (
        "redirect-to",
        "every node redirects by load; overflow_url is for when the mesh is full",
    ),
];
/// The words for what there is not.
const MISSING: [(&str, &str); 12] = [
    (
        "dump-file",
        "streams are not recorded: let ffmpeg or curl listen and write",
    ),
    (
        "no-mount",
        "every mount may be heard; hidden=true takes it out of lists",
    ),
    ("public", "streams are not announced in a directory yet"),
    ("on-connect", "no program is started"),
    ("on-disconnect", "no program is started"),
    ("event-bindings", "no program is started"),
    (
        "max-stream-duration",
        "a source may send as long as it likes",
    ),
    (
        "limit-rate",
        "a source may send as fast as it likes; max_bandwidth of a node spreads listeners",
    ),
    ("max-bandwidth", "max_bandwidth is that of a node"),
    ("ban-client", "addresses cannot be refused yet"),
    ("allow-url-ogg-metadata", "titles stand in the Ogg"),
    ("filter-theora", "a stream is passed on whole"),
];

/// Translates all mounts and relays.
pub(super) fn translate(root: &ConfigElement, for_mounts: &ForMounts, plan: &mut Plan) {
    for element in root.children.iter().filter(|it| it.name == "mount") {
        mount(element, for_mounts, plan);
    }
    for element in root.children.iter().filter(|it| it.name == "relay") {
        relay(element, plan);
    }
    for element in root.children.iter().filter(|it| it.name == "mount") {
        fallback(element, for_mounts, plan);
    }
}

/// A mount's path; it is said if there is none.
fn path(element: &ConfigElement, text: Option<&str>, plan: &mut Plan) -> Option<MountName> {
    let path = text.map(|text| MountName::try_from(with_slash(text)));
    match path {
        Some(Ok(path)) => Some(path),
        Some(Err(why)) => {
            plan.remark(element, format!("left out: {why}"));
            None
        }
        None => {
            plan.remark(element, "left out: it names no mount");
            None
        }
    }
}

/// Sets one field, unless its value cannot be.
fn set(
    at: &ConfigElement,
    fields: &mut PlannedMount,
    key: &'static str,
    text: &str,
    plan: &mut Plan,
) {
    let read = MOUNT_KIND.field(key).map_err(anyhow::Error::from);
    match read.and_then(|field| fields::setting(field, text)) {
        Ok(_) => drop(fields.fields.insert(key, text.to_owned())),
        Err(why) => plan.remark(at, format!("left out: {why}")),
    }
}

/// The settings that every mount of the file gets.
fn with_defaults(for_mounts: &ForMounts) -> PlannedMount {
    let mut planned = PlannedMount::default();
    let password = for_mounts
        .source_password
        .clone()
        .map(|it| ("password", it));
    let timeout = for_mounts.source_timeout_s.as_deref().map(fair_timeout);
    planned.fields.extend(password);
    planned
        .fields
        .extend(timeout.map(|it| ("source_timeout_s", it)));
    planned
}

/// A time within what a mount takes.
fn fair_timeout(text: &str) -> String {
    let seconds = text.parse::<u32>();
    seconds.map_or_else(|_| text.to_owned(), |it| it.clamp(2, 600).to_string())
}

fn mount(element: &ConfigElement, for_mounts: &ForMounts, plan: &mut Plan) {
    if element.attribute("type") == Some("default") {
        let words = "left out: settings for mounts that are not named; give them to each mount";
        return plan.remark(element, words);
    }
    let Some(path) = path(element, element.text_of("mount-name"), plan) else {
        return;
    };
    let mut planned = plan
        .mounts
        .remove(&path)
        .unwrap_or_else(|| with_defaults(for_mounts));
    let returns = element
        .child("fallback-override")
        .is_some_and(ConfigElement::is_on);
    if element.text_of("fallback-mount").is_some() && !returns {
        planned
            .fields
            .insert("fallback_override", "false".to_owned());
        let words = "listeners stay with the fallback for as long as it sends, as with Icecast if fallback-override is not 1; \
                     most want them back: antiphon mount set /MOUNT fallback_override=true";
        plan.remark(element.child("fallback-mount").unwrap_or(element), words);
    }
    for child in &element.children {
        setting(child, &mut planned, plan);
    }
    plan.mounts.insert(path, planned);
}

fn setting(child: &ConfigElement, planned: &mut PlannedMount, plan: &mut Plan) {
    let (name, text) = (child.name.as_str(), child.text.as_str());
    if let Some((_, key)) = SAME.iter().find(|(known, _)| *known == name) {
        let text = match *key {
            "hidden" | "fallback_when_full" => child.is_on().to_string(),
            "source_timeout_s" => fair_timeout(text),
            // Icecast: -1, or for a time also 0.
            "max_listeners" if text.starts_with('-') => return,
            "max_listener_s" if text.starts_with('-') || text == "0" => return,
            _ => text.to_owned(),
        };
        return set(child, planned, key, &text, plan);
    }
    match name {
        "mount-name" | "fallback-mount" | "fallback-override" => {}
        "password" if text == SAMPLE_PASSWORD => {
            plan.remark(child, "not taken: everybody knows it")
        }
        "password" => set(child, planned, "password", text, plan),
        "intro" => intro(child, planned, plan),
        "http-headers" => {
            let rules = header_rules(child, plan);
            set(child, planned, "http_headers", &rules.join(" | "), plan);
        }
        "authentication" => authentication(child, planned, plan),
        name => plan.remark(child, told(name, &BY_ITSELF, &MISSING)),
    }
}

/// An intro is a file of `media_dir` here.
fn intro(child: &ConfigElement, planned: &mut PlannedMount, plan: &mut Plan) {
    let name = child.text.rsplit('/').next().unwrap_or_default();
    set(child, planned, "intro", name, plan);
    plan.remark(
        child,
        format!("taken: put {name} into media_dir of each node"),
    );
}

/// The accounts of listeners. Those of Icecast are in a file, which is on its machine.
fn authentication(child: &ConfigElement, planned: &mut PlannedMount, plan: &mut Plan) {
    let kind = child.attribute("type").unwrap_or("none");
    if kind != "htpasswd" {
        let words = format!(
            "no counterpart: no web server is asked about listeners yet; everybody may hear the mount ({kind})"
        );
        return plan.remark(child, words);
    }
    set(child, planned, "listener_auth", "htpasswd", plan);
    let option = |name: &str| {
        let options = child.children.iter().filter(|it| it.name == "option");
        let mut named = options.filter(|it| it.attribute("name") == Some(name));
        named.next().and_then(|it| it.attribute("value"))
    };
    if option("allow_duplicate_users").is_none_or(|value| value == "0") {
        set(child, planned, "max_per_account", "1", plan);
    }
    let file = option("filename").unwrap_or("FILE");
    let words = format!("add its accounts: antiphon account import MOUNT {file}");
    plan.remark(child, words);
}

/// The fallback of a mount. Icecast lets any source come to a name that it says nothing of, so one that is not in the file is made.
fn fallback(element: &ConfigElement, for_mounts: &ForMounts, plan: &mut Plan) {
    let names = element
        .text_of("mount-name")
        .map(|name| MountName::try_from(with_slash(name)));
    let Some(((Ok(own), child), to)) = names
        .zip(element.child("fallback-mount"))
        .zip(element.text_of("fallback-mount"))
    else {
        return;
    };
    if element.attribute("type") == Some("default") {
        return;
    }
    let Some(to) = path(child, Some(to), plan) else {
        return;
    };
    if to == own {
        return plan.remark(child, "left out: it is the mount itself");
    }
    if !plan.mounts.contains_key(&to) {
        let words = format!(
            "{to} is made as a mount; if it is a file of Icecast's webroot: antiphon file put FILE --name NAME, and \
             antiphon mount set {own} fallback=file:NAME"
        );
        plan.remark(child, words);
        plan.mounts.insert(to.clone(), with_defaults(for_mounts));
    }
    if let Some(mount) = plan.mounts.get_mut(&own) {
        mount.fields.insert("fallback", to.to_string());
    }
}

/// Translates a relay: its local mount gets the stream while no encoder sends it.
fn relay(element: &ConfigElement, plan: &mut Plan) {
    let remote = element.text_of("mount").unwrap_or("/");
    let Some(path) = path(
        element,
        Some(element.text_of("local-mount").unwrap_or(remote)),
        plan,
    ) else {
        return;
    };
    if element.child("enable").is_some_and(|it| !it.is_on()) {
        return plan.remark(element, "left out: it is switched off");
    }
    let addresses = addresses(element);
    if addresses.is_empty() {
        return plan.remark(element, "left out: it names no server");
    }
    let known = plan.mounts.remove(&path);
    let is_known = known.is_some();
    let mut planned = known.unwrap_or_default();
    set(element, &mut planned, "relay", &addresses.join(","), plan);
    if !is_known && !planned.fields.contains_key("relay") {
        return;
    }
    if element.child("on-demand").is_some_and(ConfigElement::is_on) {
        set(element, &mut planned, "on_demand", "true", plan);
    }
    plan.mounts.insert(path, planned);
    for child in &element.children {
        let words = match child.name.as_str() {
            "bind" => "no counterpart: the system chooses the address",
            "run-on" | "retry-delay" | "timeout" => {
                "nothing to do: servers are asked again ever later, and kept for a while"
            }
            "relay-shoutcast-metadata" => continue,
            "server" | "port" | "mount" | "local-mount" | "on-demand" | "username" | "password"
            | "host" | "master" | "enable" | "upstream" | "uri" => continue,
            _ => "not known: nothing is made of it",
        };
        plan.remark(child, words);
    }
}

/// The addresses of a relay, the best first: those of Icecast 2.4, of Icecast-KH, which may have several, and of 2.5.
fn addresses(element: &ConfigElement) -> Vec<String> {
    let mut hosts: Vec<&ConfigElement> = element
        .children
        .iter()
        .filter(|it| matches!(it.name.as_str(), "host" | "master"))
        .collect();
    hosts.sort_by_key(|host| {
        host.attribute("priority")
            .or(host.text_of("priority"))
            .and_then(|it| it.parse::<u32>().ok())
            .unwrap_or(u32::MAX)
    });
    if hosts.is_empty() {
        hosts.push(element);
    }
    let uris = element
        .children
        .iter()
        .filter(|it| it.name == "upstream")
        .chain([element]);
    let uris: Vec<String> = uris
        .filter_map(|it| it.text_of("uri"))
        .map(str::to_owned)
        .collect();
    if !uris.is_empty() {
        return uris;
    }
    hosts
        .into_iter()
        .filter_map(|host| address(host, element))
        .collect()
}

/// The address that a host of a relay names; what it does not say stands in the relay itself.
fn address(host: &ConfigElement, relay: &ConfigElement) -> Option<String> {
    let find = |names: &[&str]| {
        let of = |element: &ConfigElement| {
            let named = names
                .iter()
                .find_map(|name| element.attribute(name).or(element.text_of(name)));
            named.map(str::to_owned)
        };
        of(host).or_else(|| of(relay))
    };
    let server = find(&["server", "ip"])?;
    let port = find(&["port"]).unwrap_or_else(|| ICECAST_PORT.to_owned());
    let mount = find(&["mount"]).unwrap_or_else(|| "/".to_owned());
    let (user, password) = (find(&["username"]), find(&["password"]));
    let login = login(
        user.as_deref().unwrap_or("source"),
        password.as_deref().unwrap_or_default(),
    );
    let server = match server.contains(':') {
        true => format!("[{server}]"),
        false => server,
    };
    Some(format!(
        "http://{login}{server}:{port}{}",
        with_slash(&mount)
    ))
}

//! `antiphon mount sources` and `switch`: what the listeners of a mount may hear, what they hear now and where, and what they are
//! to hear.

use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::mount_changes::forced;
use super::quantities;
use super::terminal::{Side, TextTable, printable};
use crate::logic::mount_names::{in_a_row, no_mount};
use crate::model::caption::CUT;
use crate::model::fitness::SourceFitness;
use crate::model::mount::{MountName, MountSpec};
use crate::model::node::NodeName;
use crate::model::rung_name::RungName;
use crate::model::status::outside_relay::{RelayRung, RelayRungState};
use crate::model::status::rung::RungState;
use crate::model::status::{MountStatus, Status, WaitingSource};
use crate::model::switch::{MAX_SWITCH_S, Switch};

/// The stream of the mount itself, in the table.
const OWN_SOURCE: &str = "its own source";

/// The rungs of a mount, the best first.
pub(super) async fn list(api: &Api, path: &MountName) -> anyhow::Result<String> {
    let status: Status = api.ask_for(Method::GET, "/status.json", None).await?;
    let mut mounts = status.mounts.iter();
    let mount = mounts.find(|mount| mount.path == *path);
    let known = || status.mounts.iter().map(|mount| &mount.path);
    let mount = mount.with_context(|| no_mount(path, known()))?;
    let spec: MountSpec = api
        .ask_for(Method::GET, &format!("/api/v1/mounts{path}"), None)
        .await?;
    Ok(table(mount, spec.fallback_override))
}

/// The rungs, and why that is heard which is; `returns`: listeners return to a better rung as soon as it flows.
fn table(mount: &MountStatus, returns: bool) -> String {
    let mut table = TextTable::new(&[
        ("RUNG", Side::Right),
        ("STREAM", Side::Left),
        ("STATE", Side::Left),
        ("HEARD ON", Side::Left),
    ]);
    if mount.rungs.is_empty() {
        let state = match mount.source {
            Some(_) => RungState::Flows,
            None => RungState::OffAir,
        };
        let rows = own_rows(mount, state.words(), &mount.holders);
        rows.into_iter().for_each(|row| table.row(row));
    }
    for (rung, number) in mount.rungs.iter().zip(1..) {
        let (state, heard_on) = (rung.words(), &rung.heard_on);
        if rung.rung.is_mount(&mount.path) {
            let rows = own_rows(mount, state, heard_on);
            rows.into_iter().for_each(|row| table.row(row));
        } else {
            let (number, stream) = (number.to_string(), rung.rung.to_string());
            table.row(row(&number, &stream, state, heard_on));
        }
    }
    table.render() + "\n" + &why(mount, returns) + &circle(mount) + &troubles(mount)
}

/// The mount's own source, those that wait to be it, and the addresses that are asked if there is none.
fn own_rows(mount: &MountStatus, state: &str, heard_on: &[NodeName]) -> Vec<[String; 4]> {
    let has_relay = !relay_rungs(mount).is_empty();
    let own = match has_relay && (mount.source.is_none() || playing_relay(mount).is_some()) {
        // What is on air, or would be, is the relay's.
        true => row("1", OWN_SOURCE, RungState::OffAir.words(), &[]),
        false => row("1", &own_source(mount), state, heard_on),
    };
    let waiting = mount.waiting.iter().map(waiting_row);
    let untold = match mount.waiting_untold {
        0 => None,
        untold => Some(row("", &format!("{untold} more on standby"), "-", &[])),
    };
    let relays = relay_rungs(mount).iter().zip(1..).map(|(rung, number)| {
        let number = format!("1.{number}");
        let stream = relay_in_words(mount, rung);
        row(&number, &stream, rung.state.words(), &rung.heard_on)
    });
    let own = [own].into_iter().chain(waiting).chain(untold);
    own.chain(relays).collect()
}

fn relay_rungs(mount: &MountStatus) -> &[RelayRung] {
    let relay = mount.outside_relay.as_ref();
    relay.map(|relay| &*relay.rungs).unwrap_or_default()
}

/// The address from which the mount's stream comes now.
fn playing_relay(mount: &MountStatus) -> Option<&RelayRung> {
    mount.outside_relay.as_ref()?.playing()
}

/// An address, and the node that gets its stream or asks for it.
fn relay_in_words(mount: &MountStatus, rung: &RelayRung) -> String {
    let node = mount.outside_relay.as_ref().and_then(|it| it.node.as_ref());
    let address = printable(&rung.address);
    match (rung.state, node) {
        (RelayRungState::Flows | RelayRungState::Asked | RelayRungState::Fails, Some(node)) => {
            format!("{address}, by {node}")
        }
        _ => address,
    }
}

/// The mount's own source, and where it is.
fn own_source(mount: &MountStatus) -> String {
    let Some(source) = &mount.source else {
        return OWN_SOURCE.to_owned();
    };
    let priority = match source.priority.is_first() {
        true => String::new(),
        false => format!(", priority {}", source.priority),
    };
    format!("{OWN_SOURCE}, at {}{priority}", source.node)
}

/// A source that takes the place of the mount's own source in its turn.
fn waiting_row(source: &WaitingSource) -> [String; 4] {
    // An older version tells no reason.
    let state = match (source.sends, source.fitness) {
        (false, SourceFitness::Fit) => SourceFitness::Idle.words(),
        (_, fitness) => fitness.words(),
    };
    let stream = format!(
        "on standby at {}, priority {}",
        source.node, source.priority
    );
    ["".to_owned(), stream, state.to_owned(), "-".to_owned()]
}

/// Why that is heard which is.
fn why(mount: &MountStatus, returns: bool) -> String {
    let path = &mount.path;
    if let Some(order) = &mount.switched_to {
        let until = order.until_in_words();
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let is_heard = mount
            .rungs
            .iter()
            .any(|rung| rung.rung == order.to && rung.state.can_be_ordered());
        let otherwise = match is_heard {
            true => "",
            false => "; that is not on air, so the best other one is heard",
        };
        return format!(
            "an operator has switched it to {}{until}{otherwise}; back: antiphon mount switch {path} --back\n",
            named(&order.to, mount)
        );
    }
    if mount.rungs.is_empty() {
        return format!("{path} has no fallback: antiphon mount set {path} fallback=/other.mp3\n");
    }
    let mut flowing = mount.rungs.iter().filter(|it| it.state == RungState::Flows);
    match flowing.next() {
        None => "no rung is on air: listeners are kept for a while, then disconnected\n".to_owned(),
        Some(best) => {
            let lower = mount.rungs.iter().rev().find(|it| !it.heard_on.is_empty());
            match lower.filter(|it| it.rung != best.rung && it.state == RungState::Flows) {
                Some(heard) if returns => format!(
                    "{} is heard until the stream of {} has come\n",
                    named(&heard.rung, mount),
                    named(&best.rung, mount)
                ),
                Some(heard) => format!(
                    "{} is heard although {} is on air: see fallback_override in antiphon mount show {path}\n",
                    named(&heard.rung, mount),
                    named(&best.rung, mount)
                ),
                None => format!(
                    "the highest rung that is on air is heard: {}\n",
                    named(&best.rung, mount)
                ),
            }
        }
    }
}

/// How to end a circle of fallbacks that edits of several nodes have made together.
fn circle(mount: &MountStatus) -> String {
    let [.., last, _] = &mount.circle[..] else {
        return String::new();
    };
    format!(
        "its fallbacks are a circle, {}: leave one of them out, as by antiphon mount set {last} fallback=\n",
        in_a_row(&mount.circle, "to")
    )
}

/// A rung as the table names it.
fn named(rung: &RungName, mount: &MountStatus) -> String {
    match (rung.is_mount(&mount.path), playing_relay(mount)) {
        (true, Some(relay)) => printable(&relay.address),
        // Nothing of it is there until somebody listens.
        (true, None) if mount.source.is_none() && !relay_rungs(mount).is_empty() => {
            "its relay".to_owned()
        }
        (true, None) => OWN_SOURCE.to_owned(),
        (false, _) => rung.to_string(),
    }
}

/// An operator's order which rung is heard.
#[derive(Debug, Args)]
pub(super) struct SwitchArgs {
    /// Path of the mount, such as /radio.mp3
    path: MountName,
    /// The stream: a number of `antiphon mount sources`, `own`, another mount, or a file such as file:loop.mp3
    #[arg(required_unless_present = "back")]
    rung: Option<String>,
    /// For how long, such as 90s, 10m or 1d; without it until it is switched back
    #[arg(long = "for", value_name = "TIME", value_parser = switch_time, conflicts_with = "back")]
    time: Option<Duration>,
    /// Back to the highest rung that is on air
    #[arg(long, conflicts_with = "rung")]
    back: bool,
    /// Switch although the format of the stream, or what its name says of that, does not fit
    #[arg(long, conflicts_with = "back")]
    force: bool,
}

/// Reads the time for which a mount is switched.
fn switch_time(text: &str) -> anyhow::Result<Duration> {
    let time = quantities::time(text)?;
    match (1..=MAX_SWITCH_S).contains(&time.as_secs()) {
        true => Ok(time),
        false => {
            bail!("a mount is switched for 1s to 366d; without --for until it is switched back")
        }
    }
}

/// The answer to an order.
#[derive(Debug, Deserialize)]
struct Switched {
    switched_to: Switch,
    state: RungState,
}

/// Lets the listeners of a mount hear another rung, or ends that.
pub(super) async fn switch(api: &Api, args: SwitchArgs) -> anyhow::Result<String> {
    let path = args.path;
    // The characters of a mount are valid in a URL's path.
    let target = format!("/api/v1/switches{path}");
    let Some(rung) = args.rung else {
        api.ask(Method::DELETE, &target, None).await?;
        let mount: MountSpec = api
            .ask_for(Method::GET, &format!("/api/v1/mounts{path}"), None)
            .await?;
        return Ok(match mount.fallback_override {
            true => format!("{path} plays the highest rung that is on air\n"),
            false => format!(
                "{path} is not switched any more; listeners who hear a fallback stay there, because fallback_override is false: \
                 antiphon mount switch {path} own brings them back\n"
            ),
        });
    };
    let mut body = json!({ "to": rung });
    if let Some(time) = args.time {
        body["for_s"] = time.as_secs().into();
    }
    let target = target + forced(args.force);
    let Switched { switched_to, state } = api.ask_for(Method::POST, &target, Some(&body)).await?;
    let until = match switched_to.until_in_words() {
        Some(until) => format!("until {until}"),
        None => format!("until antiphon mount switch {path} --back"),
    };
    let to = match switched_to.to.is_mount(&path) {
        true => OWN_SOURCE.to_owned(),
        false => switched_to.to.to_string(),
    };
    let now = match state {
        state if state.can_be_ordered() => String::new(),
        state => format!(
            "; it is {} now, so the best other rung is heard until it is on air",
            state.words()
        ),
    };
    Ok(format!(
        "{path} plays {to} while that is on air, {until}{now}\n"
    ))
}

/// Why nodes cannot play files, or get the streams of addresses, a line for each.
fn troubles(mount: &MountStatus) -> String {
    let mut lines = String::new();
    let relay = mount.outside_relay.as_ref();
    let node = relay.and_then(|it| it.node.as_ref());
    for rung in relay_rungs(mount) {
        if let (Some(node), Some(why)) = (node, &rung.why) {
            let line = format!("{node} cannot play {}: {why}", rung.address);
            lines += &format!("\n{}", printable(&line));
            if why.ends_with(CUT) {
                lines += " (antiphon status has more of it)";
            }
        }
    }
    for rung in &mount.rungs {
        // The addresses of the mount's own relay say it themselves.
        let is_said = rung.rung.is_mount(&mount.path) && !relay_rungs(mount).is_empty();
        if let Some(why) = rung.why_not_made.as_deref().filter(|_| !is_said) {
            lines += &format!("\n{} does not come: {}", rung.rung, printable(why));
        }
        for (node, why) in &rung.troubles {
            lines += &format!("\n{node} cannot play {}: {why}", rung.rung);
        }
    }
    match lines.is_empty() {
        true => lines,
        false => lines + "\n",
    }
}

fn row(number: &str, stream: &str, state: &str, heard_on: &[NodeName]) -> [String; 4] {
    let nodes: Vec<&str> = heard_on.iter().map(NodeName::as_str).collect();
    let heard_on = match nodes.is_empty() {
        true => "-".to_owned(),
        false => nodes.join(" "),
    };
    [
        number.to_owned(),
        stream.to_owned(),
        state.to_owned(),
        heard_on,
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::outside_relay::OutsideRelayReport;
    use crate::model::status::outside_relay::OutsideRelayStatus;
    use crate::model::status::rung::RungStatus;

    fn rung(name: &str, state: RungState, nodes: &[&str]) -> RungStatus {
        RungStatus {
            rung: name.parse().unwrap(),
            state,
            heard_on: nodes.iter().map(|node| node.parse().unwrap()).collect(),
            troubles: BTreeMap::new(),
            why_not_made: None,
        }
    }

    #[test]
    fn the_rungs_of_a_mount_are_listed() {
        let mut mount = MountStatus::sample("/live.mp3");
        let alone = table(&mount, true);
        assert!(
            alone.contains("1  its own source  not on air  -"),
            "{alone}"
        );
        assert!(alone.contains("has no fallback: antiphon mount set /live.mp3 fallback="));
        mount.rungs = vec![
            rung("/live.mp3", RungState::OffAir, &[]),
            rung("/auto.mp3", RungState::Flows, &["n1", "n2"]),
            rung("file:loop.mp3", RungState::Flows, &[]),
        ];
        mount.rungs[2].troubles = [(
            "n3".parse().unwrap(),
            "no such file on this node".to_owned(),
        )]
        .into();
        let listed = table(&mount, true);
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(
            lines,
            [
                "RUNG  STREAM          STATE       HEARD ON",
                "   1  its own source  not on air  -",
                "   2  /auto.mp3       on air      n1 n2",
                "   3  file:loop.mp3   on air      -",
                "",
                "the highest rung that is on air is heard: /auto.mp3",
                "",
                "n3 cannot play file:loop.mp3: no such file on this node",
            ]
        );
    }

    #[test]
    fn the_addresses_of_a_relay_are_rungs_below_the_own_source() {
        let node = |name: &str| name.parse::<NodeName>().unwrap();
        let address = |address: &str, state| RelayRung {
            address: address.to_owned(),
            state,
            why: (state == RelayRungState::Fails).then(|| "it answers 404 and…".to_owned()),
            heard_on: match state {
                RelayRungState::Flows => vec![node("n1"), node("n3")],
                _ => Vec::new(),
            },
        };
        let mut mount = MountStatus::sample("/live.mp3");
        mount.outside_relay = Some(OutsideRelayStatus {
            node: Some(node("n2")),
            addresses: 3,
            report: OutsideRelayReport::default(),
            rungs: vec![
                address("http://***@a/live.mp3", RelayRungState::Fails),
                address("http://b/live.mp3", RelayRungState::Flows),
                address("http://c/live.mp3", RelayRungState::NotNeeded),
            ],
        });
        mount.rungs = vec![
            rung("/live.mp3", RungState::Flows, &["n1", "n3"]),
            rung("/auto.mp3", RungState::Flows, &[]),
        ];
        let listed = table(&mount, true);
        let lines: Vec<&str> = listed.lines().collect();
        assert_eq!(
            lines,
            [
                "RUNG  STREAM                        STATE                                HEARD ON",
                "   1  its own source                not on air                           -",
                " 1.1  http://***@a/live.mp3, by n2  gives no stream, and is asked again  -",
                " 1.2  http://b/live.mp3, by n2      on air                               n1 n3",
                " 1.3  http://c/live.mp3             not needed, a better one is on air   -",
                "   2  /auto.mp3                     on air                               -",
                "",
                "the highest rung that is on air is heard: http://b/live.mp3",
                "",
                "n2 cannot play http://***@a/live.mp3: it answers 404 and… (antiphon status has more of it)",
            ]
        );
    }

    #[test]
    fn the_reason_is_told_why_a_rung_is_heard() {
        let rung = |name, state, heard| match heard {
            true => rung(name, state, &["n1"]),
            false => rung(name, state, &[]),
        };
        let (on, off) = (RungState::Flows, RungState::OffAir);
        let ordered = |text: &str| Some(text.parse::<Switch>().unwrap());
        for (own, auto, order, said) in [
            (
                rung("/live", off, false),
                rung("/auto", off, false),
                None,
                "no rung is on air",
            ),
            (
                rung("/live", on, false),
                rung("/auto", on, true),
                None,
                "/auto is heard although its own source is on air: see fallback_override in antiphon mount show /live",
            ),
            (
                rung("/live", on, true),
                rung("/auto", on, false),
                None,
                "the highest rung that is on air is heard: its own source",
            ),
            (
                rung("/live", on, false),
                rung("/auto", on, true),
                ordered("/auto until Mon, 30 Nov 2026 15:20:00 GMT"),
                "an operator has switched it to /auto until Mon, 30 Nov 2026 15:20:00 GMT; back: antiphon mount switch /live --back",
            ),
            (
                rung("/live", on, true),
                rung("/auto", off, false),
                ordered("/auto"),
                "an operator has switched it to /auto; that is not on air, so the best other one is heard; back: ",
            ),
        ] {
            let mut mount = MountStatus::sample("/live");
            (mount.rungs, mount.switched_to) = (vec![own, auto], order);
            let told = why(&mount, false);
            assert!(told.starts_with(said), "{told}");
        }
        let mut mount = MountStatus::sample("/live");
        mount.rungs = vec![rung("/live", on, false), rung("/auto", on, true)];
        let told = why(&mount, true);
        assert_eq!(
            told,
            "/auto is heard until the stream of its own source has come\n"
        );
        mount.rungs[0].state = off;
        mount.rungs[0].why_not_made = Some("no node can".to_owned());
        assert_eq!(troubles(&mount), "\n/live does not come: no node can\n");
        let auto = "/auto".parse().unwrap();
        mount.circle = vec![mount.path.clone(), auto, mount.path.clone()];
        assert!(circle(&mount).ends_with("mount set /auto fallback=\n"));
    }
}

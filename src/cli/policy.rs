//! `antiphon policy`: shows and sets how listeners are spread, and explains where the next one would be sent.

use std::net::IpAddr;

use anyhow::Context;
use clap::{Args, Subcommand};
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::api::{Api, NodeArgs};
use super::fields;
use super::places::{self, GEO_TOKEN};
use super::terminal::{self, Side, TextTable};
use crate::logic::forecast::Basis;
use crate::logic::policy::Policy;
use crate::logic::policy::explain::{ELIGIBLE, Explanation, NodeExplanation, Reason, StageVerdict};
use crate::logic::records::steering::{MESH_KIND, MeshSettings};
use crate::model::mount::MountName;
use crate::settings::Machine;

const POLICY: &str = "/api/v1/policy";

#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(subcommand)]
    command: PolicyCommand,
}

const POLICY_HELP: &str = "\
A policy is a list of tokens with commas between them, such as
geo(country),weight,water:
  filters      icecast_active listeners_available bandwidth_available
               tag(NAME) not_tag(NAME)
  preferences  geo(country) geo(distance) holds_mount
  scores       listeners_score bandwidth_score cpu_score weight
  selectors    water (the default) two_choices weighted random best; one, at
               the end
Full, draining and dead nodes are never chosen, whatever the policy. A mount
may have a policy of its own:
antiphon mount set /radio.mp3 policy=tag(big),water. More in docs/policy.md.";

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Show how listeners are spread
    Show,
    /// Change the policy, on all nodes at once; an invalid one is refused, and the old one stays
    #[command(
        after_help = POLICY_HELP,
        override_usage = "antiphon policy set [OPTIONS] <POLICY | --proxy-agents <TEXT>>"
    )]
    Set {
        /// Policy, such as geo(country),weight,water; empty for the default
        #[arg(required_unless_present = "proxy_agents", value_parser = Policy::of_setting)]
        policy: Option<Policy>,
        /// Players that cannot follow a redirect, by a part of their User-Agent; give it several times for several,
        /// and empty for none
        #[arg(long, value_name = "TEXT")]
        proxy_agents: Vec<String>,
    },
    /// Explain where the next listener of a mount would be sent, and why
    Explain {
        /// Path of the mount, such as /radio.mp3
        mount: MountName,
        /// The listener's address, if it matters to the policy
        #[arg(long, value_name = "IP", value_parser = address)]
        from: Option<IpAddr>,
        /// The listener comes by HTTPS, and so is only sent to nodes that speak it
        #[arg(long)]
        https: bool,
        /// Print all that is known, as JSON
        #[arg(long)]
        json: bool,
    },
}

/// The answer to `explain`.
#[derive(Deserialize, Serialize)]
struct ExplainReply {
    answer: String,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Runs one command on the policy.
pub(super) async fn policy(args: PolicyArgs) -> anyhow::Result<()> {
    let api = Api::new(args.node, &Machine::here())?;
    let text = match args.command {
        PolicyCommand::Show => describe(&api.ask_for(Method::GET, POLICY, None).await?),
        PolicyCommand::Set {
            policy,
            proxy_agents,
        } => {
            let mut fields = Map::new();
            if let Some(policy) = policy {
                fields.insert("policy".to_owned(), json!(policy));
            }
            if !proxy_agents.is_empty() {
                fields.insert("proxy_agents".to_owned(), json!(proxy_agents.join("\n")));
            }
            let body = Value::Object(fields);
            let set: MeshSettings = api.ask_for(Method::PATCH, POLICY, Some(&body)).await?;
            let told = describe(&set);
            if body.get("policy").is_some() && told.contains(GEO_TOKEN) {
                places::note_unknown(&api, "`geo` in the policy does nothing").await;
            }
            told
        }
        PolicyCommand::Explain {
            mount,
            from,
            https,
            json,
        } => {
            let https = if https { "&https=true" } else { "" };
            let question = question(&mount, from) + https;
            let explained: ExplainReply = api.ask_for(Method::GET, &question, None).await?;
            match json {
                true => {
                    let text = serde_json::to_string_pretty(&explained);
                    text.context("the explanation has no JSON")? + "\n"
                }
                false => explain(&explained),
            }
        }
    };
    Ok(terminal::print(&text)?)
}

fn address(text: &str) -> anyhow::Result<IpAddr> {
    let read = text.parse();
    read.ok()
        .with_context(|| "not an IP address, such as 192.0.2.7 or 2001:db8::7")
}

fn question(mount: &MountName, from: Option<IpAddr>) -> String {
    let from = from.map(|ip| {
        let ip = ip.to_string();
        format!("&from={}", utf8_percent_encode(&ip, NON_ALPHANUMERIC))
    });
    // The characters of a mount are valid in a URL's query, so nothing needs escaping.
    let from = from.unwrap_or_default();
    format!("/api/v1/explain?mount={mount}{from}")
}

fn describe(settings: &MeshSettings) -> String {
    fields::lines(fields::shown(&MESH_KIND, settings, |_| None))
}

fn explain(explained: &ExplainReply) -> String {
    let explanation = &explained.explanation;
    let mut text = format!(
        "{} by {}: the next listener is answered: {}\n",
        explanation.mount, explanation.policy, explained.answer
    );
    if explanation.blind {
        text += "this node hears no other node's load: it draws by size, whatever the policy\n";
    }
    if explanation.basis == Basis::Reported {
        text += "with the listeners on the way all nodes are full, and some may never come: chosen by the reports alone\n";
    }
    let mut table = TextTable::new(&[
        ("NODE", Side::Left),
        ("LISTENERS", Side::Right),
        ("ON THE WAY", Side::Right),
        ("OF", Side::Right),
        ("SOON", Side::Right),
        ("SHARE", Side::Right),
        ("WHY", Side::Left),
    ]);
    for node in &explanation.nodes {
        let prediction = &node.prediction;
        let fuller = prediction
            .listeners_utilization
            .max(prediction.bandwidth_utilization);
        table.row([
            node.node.to_string(),
            prediction.reported.listeners.to_string(),
            prediction.pending.listeners.to_string(),
            prediction.capacity.listeners.to_string(),
            format!("{:.0}%", fuller * 100.0),
            format!("{:.0}%", node.probability * 100.0),
            why(node),
        ]);
    }
    text + "\n" + &table.render()
}

/// The stage that dropped a node and its reason, or the effect of the stages on its score.
fn why(node: &NodeExplanation) -> String {
    let dropped = node
        .verdicts
        .iter()
        .find_map(|verdict| Some((verdict, verdict.dropped?)));
    if let Some((verdict, reason)) = dropped {
        let reason = word(reason);
        return match verdict.stage.as_str() {
            ELIGIBLE => format!("left out: {reason}"),
            stage => format!("left out by {stage}: {reason}"),
        };
    }
    let changed =
        |verdict: &&StageVerdict| (verdict.score_before - verdict.score_after).abs() > f64::EPSILON;
    let scores = node.verdicts.iter().filter(changed);
    let scores: Vec<String> = scores
        .map(|verdict| format!("{} → {:.2}", verdict.stage, verdict.score_after))
        .collect();
    scores.join(", ")
}

/// A reason as its JSON names it, with spaces.
fn word(reason: Reason) -> String {
    let name = serde_json::to_value(reason).unwrap_or_default();
    name.as_str().unwrap_or_default().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_the_mount_and_perhaps_the_listener() {
        let mount = "/radio.mp3".parse().unwrap();
        assert_eq!(question(&mount, None), "/api/v1/explain?mount=/radio.mp3");
        let from = Some("2001:db8::1".parse().unwrap());
        let question = question(&mount, from);
        assert!(question.ends_with("&from=2001%3Adb8%3A%3A1"), "{question}");
    }

    #[test]
    fn an_explanation_is_a_table_with_reasons_in_rows() {
        let text = r#"{"answer":"sent to n1","policy":"not_tag(slow),weight,water","mount":"/r.mp3","cost_bps":128000,"from":{},
            "expected_listeners":1.0,"blind":false,"nodes":[
            {"node":"n1","prediction":{"standing":"ready","reported":{"listeners":10,"bps":1},
             "pending":{"listeners":2,"bps":1},"capacity":{"listeners":100,"bps":100},"cpu_permille":null,
             "warmth":1.0,"listeners_utilization":0.12,"bandwidth_utilization":0.02},
             "verdicts":[{"stage":"eligible","dropped":null,"score_before":1.0,"score_after":1.0},
                         {"stage":"weight","dropped":null,"score_before":1.0,"score_after":0.5}],
             "weight":1.0,"probability":1.0,"owed_turns":0.0},
            {"node":"n2","prediction":{"standing":"closed","reported":{"listeners":0,"bps":0},
             "pending":{"listeners":0,"bps":0},"capacity":{"listeners":100,"bps":100},"cpu_permille":null,
             "warmth":1.0,"listeners_utilization":0.0,"bandwidth_utilization":0.0},
             "verdicts":[{"stage":"eligible","dropped":"no_listener_place","score_before":1.0,"score_after":1.0}],
             "weight":0.0,"probability":0.0,"owed_turns":0.0}],
            "choice":{"redirect":"n1"}}"#;
        let shown = explain(&serde_json::from_str(text).unwrap());
        let expected = "\
/r.mp3 by not_tag(slow),weight,water: the next listener is answered: sent to n1

NODE  LISTENERS  ON THE WAY   OF  SOON  SHARE  WHY
n1           10           2  100   12%   100%  weight → 0.50
n2            0           0  100    0%     0%  left out: no listener place
";
        assert_eq!(shown, expected);
        let mut by_token: ExplainReply = serde_json::from_str(text).unwrap();
        by_token.explanation.nodes[1].verdicts[0].stage = "not_tag(slow)".to_owned();
        let shown = explain(&by_token);
        let why = "left out by not_tag(slow): no listener place\n";
        assert!(shown.ends_with(why), "{shown}");
    }
}

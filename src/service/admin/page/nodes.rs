//! The table of nodes, with a bar for each thing that a node can run out of.

use maud::{Markup, html};

use crate::model::status::{NodeState, NodeStatus, Status};
use crate::model::traits::{NodeTraits, Tag};

use super::PageView;
use super::text::{Foreign, bandwidth, columns, count, percent};

/// The percentage from which a bar is drawn as busy.
///
/// The balancer keeps the nodes level, so one at 80 % says that the whole mesh will soon want another.
const BUSY_PERCENT: u32 = 80;

/// One thing that a node can run out of.
struct Dimension<'a> {
    /// The name on the page.
    noun: &'a str,
    /// How much is used of how much, as text.
    figure: String,
    /// The share in use; 1 is full.
    share: f64,
    /// The share that is expected, where this dimension is the one that the forecast is about.
    predicted: Option<f64>,
}

/// The section of the nodes.
pub(super) fn section(seen: PageView<'_>) -> Markup {
    let nodes = &seen.status.nodes;
    html! {
        section aria-labelledby="nodes" {
            h2 id="nodes" { "Nodes" }
            table class="nodes" {
                caption { "The pale end of a bar is listeners who are on their way." }
                (columns(["Node", "Listeners", "Bandwidth"]))
                tbody {
                    @if nodes.is_empty() {
                        tr { td colspan="3" { "This node is just waking up." } }
                    }
                    @for node in nodes { (row(seen, node)) }
                }
            }
            @if nodes.len() <= 1 { (hint(seen.status)) }
        }
    }
}

fn hint(status: &Status) -> Markup {
    html! {
        p class="hint" {
            "This node is alone, and a complete server. To make it survive, copy its secret to a second \
             machine and start there:"
            code class="line" {
                "antiphon run --secret-file secret --join " (Foreign(super::own_authority(status)))
            }
        }
    }
}

fn row(seen: PageView<'_>, node: &NodeStatus) -> Markup {
    let (state, class) = match node.state {
        NodeState::Alive => ("alive", "alive"),
        NodeState::Suspect => ("not heard well", "suspect"),
        NodeState::Unlinked => ("alive, no direct link", "alive"),
        NodeState::Dead => ("gone", "dead"),
        NodeState::Draining => ("draining, takes nobody new", "draining"),
    };
    let is_dead = node.state == NodeState::Dead;
    html! {
        tr class=(class) {
            th scope="row" {
                (link(seen, node))
                @if node.master { span class="badge" { "master" } }
                span class="state" { (state) }
                small {
                    "version " (Foreign(&node.version)) ", rank " (node.rank)
                    @if node.dns { ", serves DNS" }
                }
                (said(&node.traits))
                @if !is_dead { (trouble(node)) }
            }
            @for dimension in dimensions(node) {
                td {
                    @if is_dead { span class="none" { "unknown" } } @else { (bar(&dimension, node)) }
                }
            }
        }
    }
}

/// The trouble at a node that an operator has to mend.
fn trouble(node: &NodeStatus) -> Markup {
    html! {
        @if let Some(why) = &node.disk { small { (Foreign(why)) ", edits are refused" } }
        @if let Some(why) = &node.logs { small { (Foreign(why)) } }
        @if let Some(engine) = &node.engine {
            @if !engine.serving { small { strong { "Serves no listeners: " (Foreign(&engine.name)) " does not" } } }
            @if let Some(why) = &engine.trouble { small { (Foreign(&engine.name)) ": " (Foreign(why)) } }
        }
        @if let Some(why) = &node.address_trouble {
            small {
                strong { "Listeners do not get to " (Foreign(&node.url)) ":" } " " (Foreign(why))
            }
        }
    }
}

/// The settings of a node that are not the usual ones.
fn said(traits: &NodeTraits) -> Markup {
    let mut said = Vec::new();
    if traits.maintenance {
        said.push("in maintenance, takes nobody new".to_owned());
    }
    if traits.weight_percent != NodeTraits::DEFAULT_WEIGHT_PERCENT {
        said.push(format!("weight {} %", traits.weight_percent));
    }
    if !traits.tags.is_empty() {
        let words: Vec<&str> = traits.tags.iter().map(Tag::as_str).collect();
        said.push(format!("tags {}", words.join(", ")));
    }
    html! { @if !said.is_empty() { small { (said.join(", ")) } } }
}

fn link(seen: PageView<'_>, node: &NodeStatus) -> Markup {
    html! {
        @match seen.link(node).map(Foreign) {
            Some(url) => a href={ (url) "/" } title=(url) { (node.name) },
            None => (node.name),
        }
    }
}

/// Both dimensions. The forecast of a node is about whichever is the fuller one.
fn dimensions(node: &NodeStatus) -> [Dimension<'static>; 2] {
    let share = |used: f64, limit: f64| if limit > 0.0 { used / limit } else { 1.0 };
    let listeners = share(f64::from(node.listeners), f64::from(node.max_listeners));
    let egress = share(node.bandwidth_bps as f64, node.max_bandwidth_bps as f64);
    let more = percent(node.predicted_utilization) > percent(node.utilization);
    let predicted = more.then_some(node.predicted_utilization);
    let by_listeners = listeners >= egress;
    [
        Dimension {
            noun: "listeners",
            figure: format!(
                "{} of {}",
                count(node.listeners.into()),
                count(node.max_listeners.into())
            ),
            share: listeners,
            predicted: predicted.filter(|_| by_listeners),
        },
        Dimension {
            noun: "bandwidth",
            figure: format!(
                "{} of {}",
                bandwidth(node.bandwidth_bps),
                bandwidth(node.max_bandwidth_bps)
            ),
            share: egress,
            predicted: predicted.filter(|_| !by_listeners),
        },
    ]
}

fn bar(dimension: &Dimension<'_>, node: &NodeStatus) -> Markup {
    let used = percent(dimension.share);
    let coming = dimension.predicted.map_or(used, percent).max(used);
    let level = match coming {
        0..BUSY_PERCENT => "calm",
        BUSY_PERCENT..100 => "busy",
        _ => "full",
    };
    let soon = match coming > used {
        true => format!(", soon {coming} %"),
        false => String::new(),
    };
    let (shown, coming_shown) = (used.min(100), coming.min(100));
    let Dimension { noun, figure, .. } = dimension;
    html! {
        div class={ "bar " (level) } role="meter" aria-label={ (noun) " of " (node.name) }
            aria-valuemin="0" aria-valuemax="100" aria-valuenow=(shown)
            aria-valuetext={ (figure) ", " (used) " %" (soon) } {
            svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                rect class="coming" width=(coming_shown) height="8" {}
                rect class="used" width=(shown) height="8" {}
            }
        }
        p class="figure" { (figure) small { (used) " %" (soon) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_settings_are_shown_unless_usual() {
        let mut traits = NodeTraits::default();
        assert_eq!(said(&traits).into_string(), "");
        traits.maintenance = true;
        traits.weight_percent = 50;
        traits.tags = ["big", "fast"].map(|tag| tag.parse().unwrap()).into();
        let shown = "<small>in maintenance, takes nobody new, weight 50 %, tags big, fast</small>";
        assert_eq!(said(&traits).into_string(), shown);
    }
}

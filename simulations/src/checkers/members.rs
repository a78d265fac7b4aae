//! The promises about nodes that operators forget: a dead node that was forgotten is shown by no node, and a node that
//! runs is shown by every node that it reaches.

use std::collections::BTreeMap;
use std::time::Duration;

use antiphon::logic::members::forgotten::Forgotten;
use antiphon::model::node::{Generation, NodeName};

use super::Violations;
use super::election::START_INTERVALS;

/// How long it takes until a death is known, in gossip intervals.
const DETECTION_INTERVALS: u32 = 12;

/// A node as another one shows it.
#[derive(Clone, Copy, Debug)]
pub struct ShownNode {
    /// The life.
    pub life: Generation,
    /// Whether it is believed to be up.
    pub is_up: bool,
}

/// The rules' view of a running node.
#[derive(Clone, Debug)]
pub struct Observer {
    /// The node's name.
    pub name: NodeName,
    /// The number of its part of the mesh: nodes that reach each other, over others too, have the same.
    pub component: usize,
    /// The nodes in its view.
    pub shown: BTreeMap<NodeName, ShownNode>,
    /// The forgotten nodes in its document.
    pub forgotten: Forgotten,
}

/// The judge of a world's views.
#[derive(Debug)]
pub struct MemberRules {
    /// How long after a fault all nodes must show the same.
    bound: Duration,
    deadline: Duration,
    violations: Violations,
}

impl MemberRules {
    /// The judge of a world that is about to start; `document` is how long documents may differ.
    pub fn new(interval: Duration, document: Duration) -> Self {
        Self {
            bound: document + interval * DETECTION_INTERVALS,
            deadline: document + interval * START_INTERVALS,
            violations: Violations::default(),
        }
    }

    /// Something is about to happen to this world.
    pub fn fault(&mut self, now: Duration) {
        self.deadline = self.deadline.max(now + self.bound);
    }

    /// Looks at all running nodes.
    pub fn look(&mut self, now: Duration, observers: &[Observer]) {
        if now <= self.deadline {
            return;
        }
        for one in observers {
            let group = || observers.iter().filter(|it| it.component == one.component);
            let forgotten = |name: &NodeName| group().filter_map(|it| it.forgotten.get(name)).max();
            for (name, shown) in &one.shown {
                if !shown.is_up && forgotten(name) >= Some(&shown.life) {
                    let what = || format!("{} shows {name}, which is forgotten", one.name);
                    self.violations.note("M1", now, what);
                }
            }
            for other in group() {
                if !one.shown.get(&other.name).is_some_and(|it| it.is_up) {
                    let what = || format!("{} does not show {}", one.name, other.name);
                    self.violations.note("M2", now, what);
                }
            }
        }
    }

    /// The rules that were broken.
    pub fn finish(self) -> Vec<String> {
        self.violations.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const G: Duration = Duration::from_millis(250);

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    /// A node that shows itself and others, each in its first life.
    fn observer(node: &str, others: &[(&str, bool)], forgotten: &[&str]) -> Observer {
        let all = others.iter().copied().chain([(node, true)]);
        let life = Generation(1);
        let shown = all.map(|(it, is_up)| (name(it), ShownNode { life, is_up }));
        Observer {
            name: name(node),
            component: 0,
            shown: shown.collect(),
            forgotten: forgotten.iter().map(|it| (name(it), life)).collect(),
        }
    }

    fn broken(observers: &[Observer]) -> Vec<String> {
        let mut rules = MemberRules::new(G, G);
        rules.look(G, observers);
        rules.look(G * 100, observers);
        rules.finish()
    }

    #[test]
    fn a_forgotten_node_may_be_shown_by_no_node() {
        let knows = observer("a", &[("b", true)], &["c"]);
        let shows = |is_up| observer("b", &[("a", true), ("c", is_up)], &[]);
        assert_eq!(broken(&[knows.clone(), shows(true)]).len(), 0, "it is back");
        assert_eq!(broken(&[knows.clone(), shows(false)]).len(), 1);
        let mut again = shows(false);
        again.shown.insert(
            name("c"),
            ShownNode {
                life: Generation(2),
                is_up: false,
            },
        );
        assert_eq!(broken(&[knows, again]).len(), 0, "a later life");
    }

    #[test]
    fn a_node_that_runs_must_be_shown() {
        let blind = observer("a", &[], &[]);
        let other = observer("b", &[("a", true)], &[]);
        assert_eq!(broken(&[blind.clone(), other.clone()]).len(), 1);
        let apart = Observer {
            component: 1,
            ..blind
        };
        assert_eq!(broken(&[apart, other]).len(), 0);
    }
}

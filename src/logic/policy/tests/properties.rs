//! Properties of every policy on every table.

use proptest::prelude::*;

use super::*;

fn any_policy() -> impl Strategy<Value = Policy> {
    let stages = [
        "icecast_active",
        "listeners_available",
        "bandwidth_available",
        "tag(x)",
        "tag(n1)",
        "not_tag(y)",
        "geo(country,60)",
        "geo(distance,60)",
        "holds_mount(60)",
        "listeners_score",
        "bandwidth_score",
        "cpu_score",
        "weight",
    ];
    let stages = proptest::collection::vec(proptest::sample::select(stages.to_vec()), 0..5);
    let selector = proptest::sample::select(Selector::ALL.to_vec());
    let stages = stages.prop_map(|stages| stages.iter().map(|it| format!("{it},")).collect());
    (stages, selector)
        .prop_map(|(stages, selector): (String, _)| format!("{stages}{selector}").parse().unwrap())
}

prop_compose! {
    fn any_load()(
        standing in prop_oneof![3 => Just(Standing::Ready), 1 => Just(Standing::Stale), 1 => Just(Standing::Closed)],
        (listeners, max_listeners) in (0u32..120, 0u32..120),
        (egress_bps, max_bandwidth_bps) in (0u64..12_000, 0u64..12_000),
        cpu_permille in proptest::option::of(0u16..1_100),
        pending in 0u64..10,
    ) -> (Standing, LoadReport, u64) {
        (standing, LoadReport { listeners, max_listeners, egress_bps, max_bandwidth_bps, cpu_permille }, pending)
    }
}

prop_compose! {
    fn any_facts()(
        weight_percent in prop_oneof![Just(0u32), Just(100), 1u32..1_000],
        maintenance in proptest::bool::weighted(0.1),
        tags in proptest::collection::btree_set(prop_oneof!["x", "y"], 0..2),
        place in prop_oneof!["de", "fr", "", "de 50,10", "fr 48,3", "us 40,-74"],
        mounts in proptest::option::weighted(0.2, (0u32..20, proptest::option::of(0u32..20))),
    ) -> NodeFacts {
        let mut facts = NodeFacts { place: at(&place), ..NodeFacts::default() };
        facts.traits.weight_percent = weight_percent;
        facts.traits.maintenance = maintenance;
        facts.traits.tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        facts.mounts = mounts.map(|(listeners, max_listeners)| {
            BTreeMap::from([(mount(), Slots { listeners, max_listeners })])
        });
        facts
    }
}

prop_compose! {
    fn any_mesh()(
        nodes in proptest::collection::vec((any_load(), any_facts(), any::<bool>()), 0..10),
        from in prop_oneof!["de", "", "de 52,13", "xx 0,0"],
        cost_bps in 0u64..400,
    ) -> Mesh {
        let mut mesh = Mesh { from: at(&from), cost_bps, ..Mesh::default() };
        for (index, (load, facts, holds)) in nodes.into_iter().enumerate() {
            let node = name(&format!("n{index}"));
            mesh.names.push(node.clone());
            mesh.loads.push(load);
            if holds {
                mesh.facts.holders.entry(mount()).or_default().insert(node.clone());
            }
            mesh.facts.nodes.insert(node, facts);
        }
        mesh
    }
}

impl Mesh {
    fn is_eligible(&self, node: &NodeName) -> bool {
        let place = self.names.iter().position(|it| it == node).unwrap();
        let (standing, load, pending) = self.loads[place];
        let facts = &self.facts.nodes[node];
        let mount_has_room = facts.mounts.as_ref().is_none_or(|mounts| {
            let slots = mounts[&mount()];
            slots
                .max_listeners
                .is_none_or(|max| u64::from(slots.listeners) + pending < u64::from(max))
        });
        standing != Standing::Closed
            && !facts.traits.maintenance
            && facts.traits.weight_percent > 0
            && load.listeners < load.max_listeners
            && load.egress_bps + self.cost_bps <= load.max_bandwidth_bps
            && mount_has_room
    }
}

proptest! {
    #[test]
    fn a_choice_is_eligible_and_full_means_none_is_left(
        meshes in proptest::collection::vec(any_mesh(), 1..4), policy in any_policy(), seed: u64
    ) {
        let own = name("n0");
        let mut chooser = Chooser::new(own.clone(), seed);
        for mesh in meshes {
            let (explained, ranked, choice) = mesh.with(|scene, request| {
                let explained = chooser.explain(&policy, scene, request);
                let ranked = chooser.rank(&policy, scene, request, usize::MAX);
                (explained, ranked, chooser.choose(&policy, scene, request))
            });
            prop_assert_eq!(&explained.choice, &choice);
            let left = explained.nodes.iter().filter(|node| node.verdicts.iter().all(|it| it.dropped.is_none()));
            let left: BTreeSet<NodeName> = left.map(|node| node.node.clone()).collect();
            prop_assert_eq!(&ranked.iter().cloned().collect::<BTreeSet<_>>(), &left);
            prop_assert_eq!(ranked.len(), left.len());
            prop_assert!(left.iter().all(|node| mesh.is_eligible(node)));
            match chosen(&choice, &own) {
                Some(node) => {
                    prop_assert!(left.contains(&node));
                    let total: f64 = explained.nodes.iter().map(|it| it.probability).sum();
                    prop_assert!((total - 1.0).abs() < 1e-9, "{}", total);
                    let shown = explained.nodes.iter().find(|it| it.node == node).unwrap();
                    prop_assert!(shown.weight > 0.0 && shown.probability > 0.0);
                }
                None => prop_assert!(left.is_empty()),
            }
            let filterless = policy.stages().iter().all(|it| !matches!(it, Stage::Tag(_) | Stage::NotTag(_)));
            if filterless && choice == Choice::Full {
                prop_assert!(!mesh.names.iter().any(|node| mesh.is_eligible(node)));
            }
        }
    }
}

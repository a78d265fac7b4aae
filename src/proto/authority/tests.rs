//! Questions and verdicts in usual and unusual orders.

use std::time::{Duration, Instant};

use super::*;
use crate::model::node::Generation;
use crate::model::seat::{Claim, Rank};
use crate::model::status::NodeState;

const IN_TIME: Duration = Duration::from_millis(300);

fn name(node: &str) -> NodeName {
    NodeName::try_from(node).unwrap()
}

fn mount() -> MountName {
    MountName::try_from("/a").unwrap()
}

fn claim(node: &str, epoch: u64) -> Claim {
    Claim {
        node: name(node),
        rank: Rank(0),
        epoch: Epoch(epoch),
    }
}

/// The mesh as `me` sees it, with this master and these sources on the mount.
struct World {
    view: MeshView,
    takeover: Option<Takeover>,
    now: Instant,
}

impl World {
    fn new(me: &str, master: Option<Claim>) -> Self {
        let now = Instant::now();
        let mut view = MeshView::empty(name(me));
        for node in ["a", "b", "c"] {
            let unheard = MeshNode::unheard(Generation(1), now);
            let state = NodeState::Alive;
            view.nodes.insert(name(node), MeshNode { state, ..unheard });
        }
        view.max_epoch = Epoch(7);
        view.master = master;
        Self {
            view,
            takeover: Some(Takeover::Refuse),
            now,
        }
    }

    fn put_on_air(&mut self, node: &str, stream_id: u128) {
        let card = StreamCard::sample(StreamId(stream_id));
        let node = self.view.nodes.get_mut(&name(node)).unwrap();
        node.streams.insert(mount(), card);
    }

    fn context(&self) -> PlaceContext<'_> {
        PlaceContext {
            view: &self.view,
            takeover: self.takeover,
            now: self.now,
        }
    }

    fn later(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    /// The master's answer to a source of the node `ingest`.
    fn rule(&self, authority: &mut Authority, ingest: &str, stream_id: u128) -> PlaceAnswer {
        let (mount, ingest) = (mount(), name(ingest));
        let asker = Asker {
            mount: &mount,
            stream_id: StreamId(stream_id),
            ingest: &ingest,
        };
        authority.answer(asker, self.context())
    }

    fn handle(
        &self,
        question: &mut PlaceQuestion,
        authority: &mut Authority,
        input: Input,
    ) -> Vec<Output> {
        let mut out = Vec::new();
        question.handle(input, authority, self.context(), &mut out);
        out
    }
}

fn question() -> PlaceQuestion {
    PlaceQuestion::new(mount(), StreamId(2))
}

fn granted(node: &str, epoch: u64) -> Input {
    Input::Answer(Frame::Granted(claim(node, epoch).fence()))
}

fn denied(why: Denial) -> Input {
    Input::Answer(Frame::Denied(why))
}

fn given(epoch: u64) -> Output {
    Output::Verdict(Ok(Epoch(epoch)))
}

/// A question that was put to the master `b` of epoch 8.
fn asked(world: &World, authority: &mut Authority) -> PlaceQuestion {
    let mut question = question();
    let out = world.handle(&mut question, authority, Input::Begin);
    let publish = Frame::Publish {
        mount: mount(),
        stream_id: StreamId(2),
    };
    let asks = Output::Ask {
        master: name("b"),
        question: publish,
        until: world.now + ASK_TIMEOUT,
    };
    assert_eq!(out, [asks]);
    question
}

#[test]
fn the_master_is_asked_and_its_first_verdict_counts() {
    let mut world = World::new("a", Some(claim("b", 8)));
    let mut authority = Authority::new(Epoch(7));
    let mut question = asked(&world, &mut authority);
    world.later(IN_TIME);
    let first = world.handle(&mut question, &mut authority, granted("b", 8));
    assert_eq!(first, [given(8)]);
    let inputs = [
        denied(Denial::MountInUse),
        granted("b", 8),
        Input::Lost,
        Input::Tick,
        Input::Begin,
    ];
    for late in inputs {
        assert_eq!(world.handle(&mut question, &mut authority, late), []);
    }
}

#[test]
fn a_denial_of_the_master_is_a_verdict() {
    let world = World::new("a", Some(claim("b", 8)));
    for why in [Denial::MountInUse, Denial::NoSuchMount] {
        let mut authority = Authority::new(Epoch(7));
        let mut question = asked(&world, &mut authority);
        let out = world.handle(&mut question, &mut authority, denied(why));
        assert_eq!(out, [Output::Verdict(Err(why))]);
    }
}

#[test]
fn without_a_useful_answer_the_node_decides() {
    let world = World::new("a", Some(claim("b", 8)));
    let inputs = [
        Input::Lost,
        denied(Denial::NotMaster),
        Input::Answer(Frame::Done),
    ];
    for input in inputs {
        let mut authority = Authority::new(Epoch(7));
        let mut question = asked(&world, &mut authority);
        let out = world.handle(&mut question, &mut authority, input.clone());
        assert_eq!(out, [given(8)], "{input:?}");
    }
}

#[test]
fn a_late_master_is_not_awaited() {
    let mut world = World::new("a", Some(claim("b", 8)));
    let mut authority = Authority::new(Epoch(7));
    let mut question = asked(&world, &mut authority);
    world.later(ASK_TIMEOUT / 2);
    assert_eq!(world.handle(&mut question, &mut authority, Input::Tick), []);
    world.later(ASK_TIMEOUT / 2);
    let late = world.handle(&mut question, &mut authority, denied(Denial::MountInUse));
    assert_eq!(late, [given(8)], "decided here, where the mount is free");
}

#[test]
fn the_answer_of_a_deposed_master_does_not_count() {
    let mut world = World::new("a", Some(claim("b", 8)));
    let mut authority = Authority::new(Epoch(7));
    let mut question = asked(&world, &mut authority);
    authority.admit(&claim("c", 9).fence());
    world.view.master = Some(claim("c", 9));
    let out = world.handle(&mut question, &mut authority, granted("b", 8));
    let deposed = Output::Deposed(claim("b", 8).fence());
    assert_eq!(out, [deposed, given(9)]);
    assert_eq!(authority.highest(), Some(&claim("c", 9).fence()));
}

#[test]
fn a_node_that_becomes_master_while_it_asks_decides_itself() {
    let mut world = World::new("a", Some(claim("b", 8)));
    world.takeover = Some(Takeover::Takeover);
    world.put_on_air("c", 1);
    let mut authority = Authority::new(Epoch(7));
    let mut question = asked(&world, &mut authority);
    world.view.master = Some(claim("a", 9));
    let out = world.handle(&mut question, &mut authority, denied(Denial::NotMaster));
    let order = Frame::GiveWay {
        mount: mount(),
        stream_id: StreamId(1),
        fence: claim("a", 9).fence(),
    };
    let displaced = Displaced::Remote(name("c"), order);
    assert_eq!(out, [Output::GiveWay(displaced), given(9)]);
}

#[test]
fn without_a_master_a_node_displaces_only_its_own_source() {
    let mut world = World::new("a", None);
    world.takeover = Some(Takeover::Takeover);
    world.put_on_air("c", 1);
    let mut authority = Authority::new(Epoch(7));
    let out = world.handle(&mut question(), &mut authority, Input::Begin);
    assert_eq!(
        out,
        [Output::Verdict(Err(Denial::MountInUse))],
        "the order would not be obeyed"
    );
    let mut world = World::new("a", None);
    world.takeover = Some(Takeover::Takeover);
    world.put_on_air("a", 1);
    let mut authority = Authority::new(Epoch(7));
    let out = world.handle(&mut question(), &mut authority, Input::Begin);
    let here = Output::GiveWay(Displaced::Local(StreamId(1)));
    assert_eq!(out, [here, given(7)]);
}

#[test]
fn a_deleted_mount_has_no_place() {
    let mut world = World::new("a", None);
    world.takeover = None;
    let mut authority = Authority::new(Epoch(7));
    let out = world.handle(&mut question(), &mut authority, Input::Begin);
    assert_eq!(out, [Output::Verdict(Err(Denial::NoSuchMount))]);
}

#[test]
fn only_the_master_grants_a_place_and_only_once() {
    let mut authority = Authority::new(Epoch(7));
    for master in [None, Some(claim("b", 8))] {
        let answer = World::new("a", master).rule(&mut authority, "c", 1);
        assert_eq!(answer.reply, Frame::Denied(Denial::NotMaster));
    }
    let mut world = World::new("a", Some(claim("a", 8)));
    let yes = Frame::Granted(claim("a", 8).fence());
    assert_eq!(world.rule(&mut authority, "c", 1).reply, yes);
    let no = Frame::Denied(Denial::MountInUse);
    assert_eq!(world.rule(&mut authority, "b", 2).reply, no);
    assert_eq!(world.rule(&mut authority, "c", 1).reply, yes, "asked again");
    authority.release(&mount(), StreamId(1), world.now);
    world.put_on_air("c", 1); // gossip is late
    assert_eq!(world.rule(&mut authority, "b", 2).reply, yes);
}

#[test]
fn a_new_master_learns_places_from_gossip_and_renewals() {
    let mut world = World::new("a", Some(claim("a", 9)));
    let mut authority = Authority::new(Epoch(8));
    let yes = Frame::Granted(claim("a", 9).fence());
    assert_eq!(world.rule(&mut authority, "c", 1).reply, yes, "renewed");
    let no = Frame::Denied(Denial::MountInUse);
    assert_eq!(world.rule(&mut authority, "b", 2).reply, no);
    let mut authority = Authority::new(Epoch(8));
    world.put_on_air("c", 1);
    assert_eq!(world.rule(&mut authority, "b", 2).reply, no, "seen");
}

#[test]
fn a_master_displaces_the_other_source_before_it_answers() {
    let mut world = World::new("a", Some(claim("a", 8)));
    world.takeover = Some(Takeover::Takeover);
    world.put_on_air("b", 1);
    let mut authority = Authority::new(Epoch(7));
    let answer = world.rule(&mut authority, "c", 2);
    assert_eq!(answer.reply, Frame::Granted(claim("a", 8).fence()));
    let order = Frame::GiveWay {
        mount: mount(),
        stream_id: StreamId(1),
        fence: claim("a", 8).fence(),
    };
    assert_eq!(answer.displaced, Some(Displaced::Remote(name("b"), order)));
    world.put_on_air("b", 3);
    let answer = world.rule(&mut authority, "c", 4);
    assert_eq!(answer.reply, Frame::Denied(Denial::MountInUse));
    assert_eq!(answer.displaced, None, "the second has just got it");
}

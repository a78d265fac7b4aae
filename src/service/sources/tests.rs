//! The books on sources: what is noted, asked for and forgotten.

use super::*;
use crate::model::title::TitleInfo;

fn facts(protocol: SourceProtocol) -> SourceFacts {
    SourceFacts {
        priority: SourcePriority::FIRST,
        protocol,
        origin: SourceOrigin::sample(1),
        false_type: None,
    }
}

#[test]
fn a_place_is_free_again_when_its_source_goes() {
    let sources = Sources::default();
    let first = sources.take_place(2, None);
    let second = sources.take_place(2, None);
    assert!(first.is_some() && second.is_some());
    assert!(sources.take_place(2, None).is_none());
    drop(first);
    let third = sources.take_place(2, None);
    assert!(third.is_some());
    assert!(
        sources.take_place(0, None).is_none(),
        "a node without sources"
    );
}

#[tokio::test(start_paused = true)]
async fn the_place_of_a_dead_source_goes_to_its_own_encoder() {
    let (sources, mount) = (Sources::default(), MountName::try_from("/a").unwrap());
    let spec = MountSpec::new(mount.clone());
    let [own, other] = [1, 2].map(SourceOrigin::sample);
    let _old_place = sources.find_place(1, &spec, &own).await.unwrap();
    assert!(
        sources.find_place(1, &spec, &own).await.is_none(),
        "the first one is not on air"
    );
    let mut entry = sources.enter(&mount, StreamId(1), facts(SourceProtocol::Http));
    assert!(sources.find_place(1, &spec, &other).await.is_none());
    // The connection is alive.
    let answers = async {
        let check = entry.checks.recv().await.unwrap();
        assert!(check.is_for_same_origin);
        check.answer.send(()).unwrap();
    };
    let (place, ()) = tokio::join!(sources.find_place(1, &spec, &own), answers);
    assert!(place.is_none());
    // It is dead, and two are back.
    let ends = async {
        let check = entry.checks.recv().await.unwrap();
        drop(entry);
        drop(check);
    };
    let (first, second, ()) = tokio::join!(
        sources.find_place(1, &spec, &own),
        sources.find_place(1, &spec, &own),
        ends
    );
    assert!(first.is_some() && second.is_none());
}

#[tokio::test]
async fn a_takeover_gets_the_place_of_the_source_here_once() {
    let (sources, mount) = (Sources::default(), MountName::try_from("/a").unwrap());
    let mut spec = MountSpec::new(mount.clone());
    let [first, second] = [1, 2].map(SourceOrigin::sample);
    let old_place = sources.find_place(1, &spec, &first).await.unwrap();
    spec.takeover = Takeover::Takeover;
    let elsewhere = sources.find_place(1, &spec, &second).await;
    assert!(elsewhere.is_none(), "no source here has to give way");
    let old = sources.enter(&mount, StreamId(1), facts(SourceProtocol::Http));
    let new_place = sources.find_place(1, &spec, &second).await;
    assert!(new_place.is_some());
    let third = sources.find_place(1, &spec, &second).await;
    assert!(third.is_none(), "the second has sent nothing yet");
    // The second goes on air, and the first leaves.
    let _new = sources.enter(&mount, StreamId(2), facts(SourceProtocol::Http));
    drop((old, old_place));
    assert!(sources.find_place(1, &spec, &first).await.is_some());
}

#[test]
fn the_mounts_of_a_protocol_are_those_on_air() {
    let sources = Sources::default();
    let [http, shoutcast] = ["/a", "/b"].map(|path| MountName::try_from(path).unwrap());
    let _first = sources.enter(&http, StreamId(1), facts(SourceProtocol::Http));
    let second = sources.enter(&shoutcast, StreamId(2), facts(SourceProtocol::Shoutcast));
    assert_eq!(sources.speaking(SourceProtocol::Shoutcast), [shoutcast]);
    assert_eq!(sources.speaking(SourceProtocol::Http), [http]);
    drop(second);
    assert_eq!(sources.speaking(SourceProtocol::Shoutcast), []);
}

#[tokio::test]
async fn an_outside_relay_yields_to_whoever_asks_for_it() {
    let (sources, mount) = (Sources::default(), MountName::try_from("/a").unwrap());
    let entry = sources.enter(&mount, StreamId(1), facts(SourceProtocol::OutsideRelay));
    assert_eq!(sources.yielding(), [(mount.clone(), StreamId(1))]);
    let doubted = |stream_id| DoubtedSource {
        mount: &mount,
        stream_id,
        claimant: None,
    };
    assert!(!sources.is_there(doubted(StreamId(2))).await);
    assert!(!entry.give_way.is_cancelled(), "that was another stream");
    let leaving = async {
        entry.give_way.cancelled().await;
        drop(entry);
    };
    let (is_there, ()) = tokio::join!(sources.is_there(doubted(StreamId(1))), leaving);
    assert!(!is_there);
    assert_eq!(sources.yielding(), []);
}

#[test]
fn a_client_speaks_for_the_source_that_waits_where_the_other_one_is_elsewhere() {
    let (sources, mount) = (Sources::default(), MountName::try_from("/a").unwrap());
    let ip = |last| SourceOrigin::sample(last).ip;
    let speaks = |priority, client| sources.speaks_for_waiting(&mount, priority, ip(client));
    let _relay = sources.wait(&mount, SourcePriority::FIRST, None);
    assert!(
        !speaks(SourcePriority::FIRST, 1),
        "none waits that has a client"
    );
    let _waiting = sources.wait(&mount, SourcePriority::FIRST, Some(ip(1)));
    assert!(speaks(SourcePriority::FIRST, 1) && speaks(SourcePriority::FIRST, 9));
    assert!(!speaks(SourcePriority::SECOND, 1));
    let other = SourceFacts {
        origin: SourceOrigin::sample(2),
        ..facts(SourceProtocol::Http)
    };
    let entry = sources.enter(&mount, StreamId(7), other);
    assert!(speaks(SourcePriority::FIRST, 1));
    assert!(!speaks(SourcePriority::FIRST, 2), "that is on air here");
    assert!(!speaks(SourcePriority::FIRST, 9), "nobody knows");
    drop(entry);
    let _entry = sources.enter(&mount, StreamId(8), facts(SourceProtocol::Http));
    assert!(!speaks(SourcePriority::FIRST, 1), "both are at one address");
}

#[test]
fn a_title_is_kept_for_the_source_that_waits_and_is_meant() {
    let (sources, mount) = (Sources::default(), MountName::try_from("/a").unwrap());
    let ip = |last| SourceOrigin::sample(last).ip;
    let wait = |priority: u8, client| sources.wait(&mount, priority.into(), Some(ip(client)));
    let keep = |priority: u8, client, title| {
        sources.keep_title(
            &mount,
            priority.into(),
            ip(client),
            &TitleInfo::plain(title),
        )
    };
    let waiting = [wait(2, 1), wait(2, 2), wait(3, 1)];
    let _relay = sources.wait(&mount, SourcePriority::FIRST, None);
    let titles = || waiting.each_ref().map(|it| it.title().map(|it| it.text));
    assert!(keep(2, 1, "One") && keep(3, 9, "Three"));
    assert!(!keep(4, 1, "None") && !keep(1, 1, "None"));
    let (one, three) = (Some("One".to_owned()), Some("Three".to_owned()));
    assert_eq!(titles(), [one, None, three.clone()]);
    // Neither has that address: they cannot be told apart.
    assert!(keep(2, 9, "Both"));
    let both = Some("Both".to_owned());
    assert_eq!(titles(), [both.clone(), both, three]);
}

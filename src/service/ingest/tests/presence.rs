//! A source in doubt: another one wants its place, or its mount takes none any more.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_doubt_is_answered_by_what_the_filler_finds() {
    let bench = Bench::start(&[]).await;
    let (mut offered, feed) = bench.put_on_air(20).await;
    let stream_id = feed.stream_id();
    assert!(bench.is_there(stream_id).await);
    assert!(!bench.is_there(StreamId(7)).await);
    assert_eq!(offered.notes.searches.load(Ordering::Relaxed), 0);
    // 26 s of audio at once: more than a source may be ahead.
    offered.sender.write_all(&frames(1_000)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(feed.next() < frames(1_000).len() as u64, "it is held up");
    assert!(bench.is_there(stream_id).await);
    assert_eq!(offered.notes.searches.load(Ordering::Relaxed), 1);
    offered.notes.has_left.store(true, Ordering::Relaxed);
    let doubt = bench.is_there(stream_id);
    let leaves = async {
        offered.sender.shutdown().await.unwrap();
        offered.over().await
    };
    let (is_there, over) = tokio::join!(doubt, leaves);
    assert!(!is_there);
    assert_eq!(over, Ok(()));
    let all = [frames(20), frames(1_000)].concat();
    assert_eq!(feed.next(), all.len() as u64, "nothing more is held up");
}

/// A source that has sent 52 s of audio, more than a ring keeps, and left.
async fn put_much_on_air(bench: &Bench) -> (Offered, Feed) {
    let (mut offered, feed) = bench.put_on_air(20).await;
    offered.sender.write_all(&frames(2_000)).await.unwrap();
    offered.sender.shutdown().await.unwrap();
    offered.notes.has_left.store(true, Ordering::Relaxed);
    (offered, feed)
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_left_is_heard_to_its_end_at_its_pace() {
    let bench = Bench::start(&[]).await;
    let begun = Instant::now();
    let (offered, feed) = put_much_on_air(&bench).await;
    assert_eq!(offered.over().await, Ok(()));
    let all = [frames(20), frames(2_000)].concat();
    assert_eq!(feed.next(), all.len() as u64);
    assert!(begun.elapsed() > Duration::from_secs(52 - 15 - 1));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_has_left_holds_up_no_successor() {
    let bench = Bench::start(&[]).await;
    let (offered, feed) = put_much_on_air(&bench).await;
    let stream_id = feed.stream_id();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (is_there, over) = tokio::join!(bench.is_there(stream_id), offered.over());
    assert_eq!((is_there, over), (false, Ok(())));
    let all = [frames(20), frames(2_000)].concat();
    assert_eq!(feed.next(), all.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn only_its_own_encoder_makes_a_dead_connection_give_way() {
    let bench = Bench::start(&[]).await;
    let (offered, feed) = bench.put_on_air(20).await;
    let stream_id = feed.stream_id();
    let (own, other) = (SourceOrigin::sample(1), SourceOrigin::sample(2));
    assert!(bench.is_there_for(stream_id, Some(own.clone())).await);
    let probes = || offered.notes.probes.load(Ordering::Relaxed);
    assert_eq!(probes(), 1);
    offered.notes.is_unreachable.store(true, Ordering::Relaxed);
    assert!(bench.is_there_for(stream_id, Some(other)).await);
    assert!(bench.is_there(stream_id).await);
    assert_eq!((probes(), feed.finished()), (1, None));
    assert!(!bench.is_there_for(stream_id, Some(own)).await);
    assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
    assert_eq!(offered.over().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_begins_again_leaves_a_quiet_connection() {
    let bench = Bench::start(&[]).await;
    let (mut offered, feed) = bench.put_on_air(20).await;
    let stream_id = feed.stream_id();
    let own = Some(SourceOrigin::sample(1));
    tokio::time::sleep(Duration::from_millis(2_900)).await;
    assert!(bench.is_there_for(stream_id, own.clone()).await);
    offered.sender.write_all(&frames(1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_900)).await;
    assert!(bench.is_there_for(stream_id, own.clone()).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!bench.is_there_for(stream_id, own).await);
    assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
}

#[tokio::test(start_paused = true)]
async fn its_own_encoder_makes_a_source_give_way_that_is_held_up() {
    let bench = Bench::start(&[]).await;
    let (mut offered, feed) = bench.put_on_air(20).await;
    let stream_id = feed.stream_id();
    let own = Some(SourceOrigin::sample(1));
    // 26 s of audio at once: more than a source may be ahead.
    offered.sender.write_all(&frames(1_000)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(feed.next() < frames(1_000).len() as u64, "it is held up");
    assert!(bench.is_there_for(stream_id, own.clone()).await);
    let counts = [&offered.notes.probes, &offered.notes.searches];
    assert_eq!(counts.map(|it| it.load(Ordering::Relaxed)), [1, 0]);
    offered.notes.is_unreachable.store(true, Ordering::Relaxed);
    let doubt = bench.is_there_for(stream_id, own);
    let breaks = async {
        offered.sender.shutdown().await.unwrap();
        offered.over().await
    };
    let (is_there, over) = tokio::join!(doubt, breaks);
    assert!(!is_there);
    assert_eq!(over, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_encoder_leaves_a_mount_that_is_transcoded_from_now_on() {
    let bench = Bench::start(&[]).await;
    let (offered, feed) = bench.put_on_air(20).await;
    let documents = &bench.node.mesh.documents;
    let other = MountName::try_from("/other.mp3").unwrap();
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g";
    let changes = MOUNT_KIND.changes([("password", hash)]).unwrap();
    documents.create_mount(&other, changes).await.unwrap();
    let set = |settings: &[(&'static str, &'static str)]| {
        MOUNT_KIND.changes(settings.iter().copied()).unwrap()
    };
    documents
        .set_mount(&mount(), set(&[("name", "x")]))
        .await
        .unwrap();
    assert_eq!(feed.finished(), None);
    let transcoded = set(&[("transcode_from", "/other.mp3"), ("codec", "mp3")]);
    documents.set_mount(&mount(), transcoded).await.unwrap();
    assert_eq!(offered.over().await, Ok(()));
    assert_eq!(feed.finished(), Some(EndReason::SourceLeft));
    assert_eq!(feed.ended(), None, "its listeners wait for the transcoder");
}

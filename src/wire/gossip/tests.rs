//! Tests: gossiped values survive their text, fit into a value, and are read from older nodes.

use super::*;
use crate::model::format::{CodecName, VideoFormat};
use crate::model::sound::SoundState;

#[test]
fn keys_name_what_they_are_about() {
    let mount = MountName::try_from("/a/b.mp3").unwrap();
    assert_eq!(stream_key(&mount), "stream/a/b.mp3");
    assert_eq!(stream_mount("stream/a/b.mp3"), Some(mount));
    assert_eq!(stream_mount("load"), None);
    assert_eq!(about_mount("about/a.mp3"), "/a.mp3".parse().ok());
    assert_eq!(closed_mount("closed/a.mp3"), "/a.mp3".parse().ok());
    assert_eq!(stream_mount("stream/.."), None);
    let server = NodeName::try_from("relay-1").unwrap();
    assert_eq!(outside_key(&server), "outside/relay-1");
    assert_eq!(outside_server("outside/relay-1"), Some(server.clone()));
    assert_eq!(outside_server("outside/.."), None);
    assert_eq!(reached_node(&reach_key(&server)), Some(server.clone()));
    assert_eq!(reached_node("reach/.."), None);
    let seat = Seat::Outside(server);
    assert_eq!(claim_key(&seat), "claim/outside/relay-1");
    assert_eq!(claim_seat("claim/outside/relay-1"), Some(seat));
    assert_eq!(claim_seat("claim/master"), Some(Seat::Master));
    let seat = Seat::Transcoder(MountName::try_from("/a/b.opus").unwrap());
    assert_eq!(claim_key(&seat), "claim/transcoder/a/b.opus");
    assert_eq!(claim_seat("claim/transcoder/a/b.opus"), Some(seat));
    assert_eq!(claim_seat("claim/x"), None);
    for file in ["loop.mp3", "/srv/loop.mp3"] {
        let file = file.parse().unwrap();
        assert_eq!(played_file(&file_key(&file)), Some(file));
    }
    assert_eq!(played_file("file/.."), None);
}

#[test]
fn a_card_of_a_rung_that_is_a_mount_is_read_by_older_nodes() {
    let card = |rung: &str| RungCard {
        rung: rung.parse().unwrap(),
        listeners: 3,
    };
    assert_eq!(
        write(&card("/b.mp3")),
        r#"{"mount":"/b.mp3","listeners":3}"#
    );
    let file = write(&card("file:loop.mp3"));
    assert_eq!(read::<RungCard>(&file), Some(card("file:loop.mp3")));
    let able = read::<FileCard>("{}").unwrap();
    assert_eq!(able, FileCard::default(), "nothing is wrong there");
}

#[test]
fn a_card_survives_its_text_and_fits_into_a_value() {
    let part = "\"\\".repeat(512);
    let long = TitleInfo::joined(&part, &part)
        .with_url(&part)
        .with_album(&part);
    let card = StreamCard {
        origin: Origin::Relay(NodeName::try_from("n1").ok()),
        offset: u64::MAX,
        listeners: 7,
        title: short_title(&part),
        listener_peak: 9,
        slow_listeners: u32::MAX,
        format: Some(StreamFormat {
            bitrate_bps: 0,
            video: Some(VideoFormat {
                codec: CodecName::Theora,
                width: u32::MAX,
                height: u32::MAX,
            }),
            ..StreamFormat::default()
        }),
        now_playing: Some(short_parts(&long, u64::MAX)),
        intro_trouble: Some(short_finding(&part)),
        ..StreamCard::sample(StreamId(1))
    };
    let text = write(&card);
    assert_eq!(read(&text).as_ref(), Some(&card));
    assert!(text.len() < 4_096, "{}", text.len());
    assert_eq!(read::<StreamCard>("{}"), None);
    let older = text.replace(",\"listener_peak\":9", "");
    let mut card = card;
    card.listener_peak = 0;
    assert_eq!(read(&older), Some(card));
}

#[test]
fn all_that_a_source_says_fits_into_one_value() {
    let long = "\"\\".repeat(512);
    let names = ["name", "description", "genre", "url", "audio-info"];
    let icy = names.map(|name| (name.to_owned(), long.clone()));
    let head = StreamHead {
        content_type: "audio/mpeg".into(),
        icy: icy.into(),
        user_agent: String::new(),
        started_unix_ms: 0,
        accept_epoch: Epoch(0),
    };
    let about = StreamAbout::of(&head).with_findings(StreamFindings {
        priority: SourcePriority::FIRST,
        false_type: Some(long.clone()),
        trouble: Some(long),
        serials: vec![u32::MAX; 100],
        sound: Some(StreamSound {
            state: SoundState::Silent,
            silent_since_unix_ms: Some(7),
        }),
    });
    assert_eq!(about.name.len(), MAX_WORD_BYTES);
    let text = write(&about);
    assert!(text.len() < 4_096, "{}", text.len());
    assert_eq!(read(&text), Some(about));
    assert_eq!(read("{}"), Some(StreamAbout::default()));
}

#[test]
fn a_transcoding_card_of_a_newer_version_is_read() {
    let text = r#"{"engine":"sox","codecs":["opus","he-aac","hexavorbis"],"most":4,"cores":8}"#;
    let card = TranscodingCard {
        engine: "sox".to_owned(),
        codecs: vec![CodecName::Opus, CodecName::HeAac, CodecName::Unknown],
        most: 4,
        trouble: None,
    };
    assert_eq!(read(text).as_ref(), Some(&card));
    let broken = TranscodingCard {
        codecs: vec![CodecName::Mp3],
        trouble: Some("its version cannot be found out".to_owned()),
        ..card
    };
    assert_eq!(read(&write(&broken)), Some(broken));
    assert_eq!(read::<TranscodingCard>("{}"), None);
}

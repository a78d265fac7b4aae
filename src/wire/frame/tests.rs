//! Frames that arrive whole, cut, damaged or too long.

use proptest::prelude::*;

use super::*;

fn data(offset: u64, bytes: Vec<u8>) -> Frame {
    Frame::Data {
        offset,
        bytes: bytes.into(),
    }
}

fn read(bytes: &[u8]) -> Result<Frame, DecodeError> {
    let header = bytes[..HEADER_BYTES].try_into().unwrap();
    assert_eq!(body_bytes(header).unwrap(), bytes.len() - HEADER_BYTES);
    decode(&bytes[HEADER_BYTES..])
}

#[test]
fn every_kind_survives_the_wire() {
    let name = NodeName::try_from("a").unwrap();
    let mount = MountName::try_from("/radio.mp3").unwrap();
    let head = StreamHead {
        content_type: "audio/mpeg".into(),
        icy: vec![("name".into(), "Radio".into())],
        user_agent: String::new(),
        started_unix_ms: 1,
        accept_epoch: crate::model::seat::Epoch(0),
    };
    let hello = Hello::sample("a");
    let stream_id = StreamId(u128::MAX);
    let key = RecordKey::try_from("mount/radio.mp3").unwrap();
    let stamp = crate::model::stamp::Stamp {
        time_ms: 1,
        node: name.clone(),
    };
    let record = Record::tombstone(stamp);
    let claim = crate::model::seat::Claim {
        epoch: crate::model::seat::Epoch(3),
        rank: crate::model::seat::Rank(1),
        node: name,
    };
    let frames = [
        Frame::Hello(hello),
        Frame::Refused(LinkRefusal::BadHello),
        Frame::Goodbye,
        Frame::Gossip(Bytes::from_static(b"x")),
        Frame::Seat {
            seat: Seat::Master,
            message: Message::Coordinator(claim.clone()),
        },
        Frame::Records(BTreeMap::from([(key.clone(), record)])),
        Frame::Summary(Summary {
            after: Some(key.clone()),
            up_to: None,
            hashes: BTreeMap::new(),
        }),
        Frame::Ask(vec![key]),
        Frame::Publish {
            mount: mount.clone(),
            stream_id,
        },
        Frame::Unpublish {
            mount: mount.clone(),
            stream_id,
        },
        Frame::GiveWay {
            mount: mount.clone(),
            stream_id,
            fence: claim.fence(),
        },
        Frame::Granted(claim.fence()),
        Frame::Denied(Denial::MountInUse),
        Frame::Subscribe {
            mount: mount.clone(),
            resume: Some((stream_id, 7)),
        },
        Frame::Opened {
            stream_id,
            head,
            offset: 9,
        },
        data(u64::MAX, vec![0; MAX_DATA_BYTES]),
        Frame::Title {
            offset: 1,
            text: "é".into(),
        },
        Frame::End {
            offset: 1,
            reason: EndReason::SourceLeft,
        },
        Frame::Describe {
            mount: mount.clone(),
            title: "t".into(),
        },
        Frame::Caption {
            offset: 1,
            title: TitleInfo::plain("é"),
        },
        Frame::Announce {
            mount: mount.clone(),
            title: TitleInfo::joined("A", "T").with_url("u").with_album("b"),
        },
        Frame::Done,
        Frame::Alive { beat_ms: u64::MAX },
        Frame::Order(Order::Drain { deadline_s: 60 }),
        Frame::Prologue {
            offset: u64::MAX,
            media_time_us: u64::MAX,
            bytes: vec![0; MAX_WHOLE_PROLOGUE_BYTES].into(),
        },
        Frame::LongPrologue {
            offset: u64::MAX,
            media_time_us: u64::MAX,
            total_bytes: u32::MAX,
        },
        Frame::ProloguePart(vec![0; MAX_PROLOGUE_PART_BYTES].into()),
        Frame::Midway,
        Frame::FileAsk(FileHash([0xA5; 32])),
        Frame::FilePart(vec![0; MAX_FILE_PART_BYTES].into()),
        Frame::Audience(AudienceQuestion::Kill(42)),
        Frame::Dismiss {
            mount: mount.clone(),
            stream_id,
        },
        Frame::Listeners(ListenerPage::default()),
        Frame::Presence {
            mount: mount.clone(),
            stream_id,
            claimant: SourceOrigin::sample(1),
        },
    ];
    for frame in frames {
        assert_eq!(read(&encode(&frame).unwrap()).unwrap(), frame);
    }
}

#[test]
fn a_name_is_checked_when_it_arrives() {
    let good = Frame::Describe {
        mount: MountName::try_from("/aa").unwrap(),
        title: String::new(),
    };
    let mut bytes = encode(&good).unwrap().to_vec();
    let at = bytes
        .windows(3)
        .position(|window| window == b"/aa")
        .unwrap();
    bytes[at..at + 3].copy_from_slice(b"/..");
    assert!(matches!(read(&bytes), Err(DecodeError::Bincode(_))));
}

#[test]
fn lengths_are_refused_before_memory_is_taken() {
    let too_long = [&[VERSION][..], &u32::MAX.to_le_bytes()].concat();
    let refused = body_bytes(too_long.try_into().unwrap());
    assert!(matches!(refused, Err(DecodeError::TooLong(_))));
    assert!(matches!(
        body_bytes([9, 0, 0, 0, 0]),
        Err(DecodeError::Version(9))
    ));
    assert!(encode(&data(0, vec![0; MAX_BODY_BYTES])).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_refused_or_read_and_never_panic(body: Vec<u8>) {
        if let Ok(frame) = decode(&body) {
            prop_assert!(encode(&frame).is_ok());
        }
    }

    #[test]
    fn a_flipped_bit_never_panics(flip in 0usize..400, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut encoded = encode(&data(3, bytes)).unwrap().to_vec();
        let bit = flip % (8 * (encoded.len() - HEADER_BYTES));
        encoded[HEADER_BYTES + bit / 8] ^= 1 << (bit % 8);
        let _ = decode(&encoded[HEADER_BYTES..]);
    }
}

//! Queries as real resolvers write them, and invalid ones.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use proptest::prelude::*;

use super::*;
use crate::model::dns::{DnsQuestion, DnsRecord, RecordData, RecordKind, Soa, ZoneAnswer};
use crate::model::domain::DomainName;

/// The query of `dig +subnet=198.51.100.0/24 sTream.rAdio.example A`, with a cookie.
const DIG: &[u8] = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x06sTream\x05rAdio\x07example\0\0\x01\0\x01\
    \0\0\x29\x04\xd0\0\0\0\0\0\x17\0\x08\0\x07\0\x01\x18\0\xc6\x33\x64\0\x0a\0\x08\x01\x02\x03\x04\x05\x06\x07\x08";

fn domain(name: &str) -> DomainName {
    name.parse().unwrap()
}

fn message(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Asked::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn with_edns(mut message: Message, payload_bytes: u16) -> Message {
    let mut edns = Edns::new();
    edns.set_max_payload(payload_bytes);
    message.set_edns(edns);
    message
}

fn query(bytes: &[u8]) -> Query {
    match read(bytes) {
        Received::Query(query) => *query,
        other => panic!("{other:?}"),
    }
}

fn refused(bytes: &[u8]) -> Message {
    match read(bytes) {
        Received::Refusal(bytes) => Message::from_vec(&bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn address(owner: &str, last: u8) -> DnsRecord {
    DnsRecord {
        owner: domain(owner),
        ttl_s: 10,
        data: RecordData::Aaaa([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)].into()),
    }
}

fn addresses(count: u8) -> ZoneAnswer {
    ZoneAnswer::Records {
        answers: (0..count)
            .map(|it| address("stream.radio.example", it))
            .collect(),
        glue: Vec::new(),
    }
}

fn soa() -> DnsRecord {
    let contact = domain("hostmaster.radio.example");
    DnsRecord {
        owner: domain("radio.example"),
        ttl_s: 30,
        data: RecordData::Soa(Soa {
            primary: domain("n1.radio.example"),
            contact,
            serial: 7,
            negative_ttl_s: 30,
        }),
    }
}

#[test]
fn a_resolvers_query_is_read_with_its_clients_network() {
    let query = query(DIG);
    let question = DnsQuestion {
        labels: ["stream", "radio", "example"].map(str::to_owned).into(),
        kind: RecordKind::A,
    };
    assert_eq!(query.question, question);
    let subnet = Subnet {
        address: [198, 51, 100, 0].into(),
        prefix_bits: 24,
    };
    assert_eq!(query.subnet, Some(subnet));
}

#[test]
fn an_answer_repeats_the_question_letter_by_letter() {
    let bytes = query(DIG).answer(&addresses(2), Carrier::Udp, 24);
    let answer = Message::from_vec(&bytes).unwrap();
    assert_eq!(
        (answer.id, answer.message_type),
        (0x1234, MessageType::Response)
    );
    assert!(answer.authoritative && !answer.recursion_available && !answer.truncation);
    assert!(answer.recursion_desired);
    let name = answer.queries[0].name();
    assert_eq!(name.to_ascii(), "sTream.rAdio.example.");
    assert_eq!(answer.answers.len(), 2);
    for record in &answer.answers {
        assert!(record.name.eq_case(name), "{record}");
        assert_eq!(record.ttl, 10);
    }
    let edns = answer.edns.unwrap();
    assert_eq!((edns.version(), edns.max_payload()), (0, 1_232));
    let subnet = ClientSubnet::new([198, 51, 100, 0].into(), 24, 24);
    let echo = edns.option(EdnsCode::Subnet);
    assert_eq!(echo, Some(&EdnsOption::Subnet(subnet)));
    assert_eq!(
        edns.options().as_ref().len(),
        1,
        "no cookie, which we do not know"
    );
}

#[test]
fn names_of_the_zone_are_pointers_into_the_question() {
    let asked = message("nO.Radio.exAmple.", RecordType::A)
        .to_vec()
        .unwrap();
    let bytes = query(&asked).answer(&ZoneAnswer::NoSuchName(soa()), Carrier::Udp, 0);
    let answer = Message::from_vec(&bytes).unwrap();
    assert_eq!(answer.response_code, ResponseCode::NXDomain);
    assert_eq!(answer.authorities[0].name.to_ascii(), "Radio.exAmple.");
    let header_and_numbers = 10 + 20;
    let names = 2 + ("n1".len() + 3) + ("hostmaster".len() + 3);
    assert_eq!(bytes.len(), asked.len() + header_and_numbers + names);
}

#[test]
fn each_finding_has_its_code() {
    let asked = message("radio.example.", RecordType::TXT).to_vec().unwrap();
    let codes = [
        (ZoneAnswer::NoData(soa()), ResponseCode::NoError, true),
        (ZoneAnswer::NoSuchName(soa()), ResponseCode::NXDomain, true),
        (ZoneAnswer::Outside, ResponseCode::Refused, false),
    ];
    for (finding, code, authoritative) in codes {
        let bytes = query(&asked).answer(&finding, Carrier::Udp, 0);
        let answer = Message::from_vec(&bytes).unwrap();
        assert_eq!(answer.response_code, code);
        assert_eq!(answer.authoritative, authoritative);
        assert_eq!(answer.authorities.len(), usize::from(authoritative));
        assert!(answer.answers.is_empty() && answer.edns.is_none());
    }
}

#[test]
fn an_answer_too_long_for_a_datagram_asks_for_tcp() {
    let name = "stream.radio.example.";
    let plain = message(name, RecordType::AAAA).to_vec().unwrap();
    let texts = ZoneAnswer::Records {
        answers: vec![
            DnsRecord {
                data: RecordData::Txt("x".repeat(255)),
                ..address("stream.radio.example", 1)
            };
            3
        ],
        glue: Vec::new(),
    };
    let cut = query(&plain).answer(&texts, Carrier::Udp, 0);
    let cut = Message::from_vec(&cut).unwrap();
    assert!(cut.truncation && cut.answers.is_empty() && cut.queries.len() == 1);
    let whole = query(&plain).answer(&texts, Carrier::Tcp, 0);
    let whole = Message::from_vec(&whole).unwrap();
    assert!(!whole.truncation && whole.answers.len() == 3);
    // A client that accepts long datagrams does not get one either that is much longer than its query.
    let large = with_edns(message(name, RecordType::AAAA), 4_096);
    let cut = query(&large.to_vec().unwrap()).answer(&texts, Carrier::Udp, 0);
    assert!(Message::from_vec(&cut).unwrap().truncation);
    let slip = query(&plain).truncated();
    assert_eq!(slip.len(), plain.len());
    assert!(Message::from_vec(&slip).unwrap().truncation);
}

#[test]
fn eight_addresses_fit_whatever_the_zone_is_called() {
    let asked = with_edns(message("a.b.", RecordType::AAAA), 1_232);
    let finding = ZoneAnswer::Records {
        answers: (0..8).map(|it| address("a.b", it)).collect(),
        glue: Vec::new(),
    };
    let bytes = query(&asked.to_vec().unwrap()).answer(&finding, Carrier::Udp, 0);
    let answer = Message::from_vec(&bytes).unwrap();
    assert_eq!((answer.answers.len(), answer.truncation), (8, false));
}

#[test]
fn glue_is_left_out_before_an_answer_is_cut() {
    let asked = message("radio.example.", RecordType::NS).to_vec().unwrap();
    let server = |number: u8| DnsRecord {
        owner: domain("radio.example"),
        ttl_s: 300,
        data: RecordData::Ns(domain(&format!("n{number}.radio.example"))),
    };
    let glue = (0..8).map(|number| address(&format!("n{number}.radio.example"), number));
    let finding = ZoneAnswer::Records {
        answers: (0..8).map(server).collect(),
        glue: glue.collect(),
    };
    let bytes = query(&asked).answer(&finding, Carrier::Udp, 0);
    let answer = Message::from_vec(&bytes).unwrap();
    assert!(!answer.truncation && answer.answers.len() == 8);
    assert!((1..8).contains(&answer.additionals.len()), "{answer}");
}

#[test]
fn answers_and_noise_get_no_answer() {
    let mut answer = message("radio.example.", RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    for bytes in [&b""[..], &DIG[..11], &answer.to_vec().unwrap()] {
        assert!(matches!(read(bytes), Received::Nothing));
    }
}

#[test]
fn a_foreign_question_is_refused_with_a_reason() {
    let asked = message("radio.example.", RecordType::A);
    let with = |change: &dyn Fn(&mut Message)| {
        let mut changed = asked.clone();
        change(&mut changed);
        changed.to_vec().unwrap()
    };
    let cases = [
        (
            ResponseCode::NotImp,
            with(&|it| it.metadata.op_code = OpCode::Notify),
        ),
        (
            ResponseCode::NotImp,
            with(&|it| it.metadata.op_code = OpCode::Update),
        ),
        (ResponseCode::FormErr, with(&|it| it.queries.clear())),
        (
            ResponseCode::FormErr,
            with(&|it| it.queries.push(it.queries[0].clone())),
        ),
        (ResponseCode::FormErr, DIG[..DIG.len() - 1].to_vec()),
        (
            ResponseCode::Refused,
            with(&|it| {
                it.queries[0].set_query_class(DNSClass::CH);
            }),
        ),
        (
            ResponseCode::Refused,
            with(&|it| {
                it.queries[0].set_query_type(RecordType::AXFR);
            }),
        ),
        (
            ResponseCode::BADVERS,
            with(&|it| {
                let mut edns = Edns::new();
                edns.set_version(1);
                it.set_edns(edns);
            }),
        ),
    ];
    for (code, bytes) in cases {
        let refusal = refused(&bytes);
        // One of the codes has two names.
        assert_eq!(u16::from(refusal.response_code), u16::from(code));
        assert_eq!(
            (refusal.id, refusal.message_type),
            (0x1234, MessageType::Response)
        );
        assert!(refusal.recursion_desired && !refusal.authoritative);
        let no_longer = refusal.to_vec().unwrap().len() <= bytes.len();
        assert!(no_longer, "{code}");
    }
}

#[test]
fn a_network_that_says_more_than_it_tells_is_malformed() {
    let prefix_at = DIG.iter().position(|byte| *byte == 24).unwrap();
    // The last of the three bytes is 0x64: two zeros at its end, and no more.
    for (bits, good) in [(24, true), (22, true), (21, false), (17, false)] {
        let mut bytes = DIG.to_vec();
        bytes[prefix_at] = bits;
        assert_eq!(matches!(read(&bytes), Received::Query(_)), good, "/{bits}");
    }
}

#[test]
fn a_resolver_that_hides_its_client_is_answered_for_itself() {
    let mut asked = with_edns(message("radio.example.", RecordType::A), 1_232);
    let no_subnet = ClientSubnet::new([0, 0, 0, 0].into(), 0, 0);
    let edns = asked.edns.as_mut().unwrap();
    edns.options_mut().insert(EdnsOption::Subnet(no_subnet));
    let query = query(&asked.to_vec().unwrap());
    assert_eq!(query.subnet, None);
    let answer = query.answer(&addresses(1), Carrier::Udp, 24);
    let answer = Message::from_vec(&answer).unwrap().edns.unwrap();
    let echo = answer.option(EdnsCode::Subnet);
    assert_eq!(echo, Some(&EdnsOption::Subnet(no_subnet)));
}

/// Every answer to a query: none panics, none is longer than it may be, each can be read.
fn check_all_answers(bytes: &[u8]) -> Result<(), TestCaseError> {
    let query = match read(bytes) {
        Received::Nothing => return Ok(()),
        Received::Refusal(refusal) => {
            prop_assert!(refusal.len() <= bytes.len().max(12) + 11);
            prop_assert!(Message::from_vec(&refusal).is_ok());
            return Ok(());
        }
        Received::Query(query) => query,
    };
    let findings = [
        addresses(8),
        ZoneAnswer::NoData(soa()),
        ZoneAnswer::NoSuchName(soa()),
        ZoneAnswer::Outside,
    ];
    for finding in findings {
        let answer = query.answer(&finding, Carrier::Udp, 24);
        let most = MAX_UDP_BYTES.min(bytes.len() * MOST_AMPLIFICATION);
        prop_assert!(answer.len() <= most, "{} of {most}", answer.len());
        prop_assert!(Message::from_vec(&answer).is_ok());
        let whole = query.answer(&finding, Carrier::Tcp, 24);
        prop_assert!(!Message::from_vec(&whole).unwrap().truncation);
    }
    prop_assert!(query.truncated().len() <= bytes.len().max(12) + 11);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        check_all_answers(&bytes)?;
    }

    #[test]
    fn damaged_queries_are_survived(
        damage in proptest::collection::vec((0..DIG.len(), any::<u8>()), 0..6),
        len in 0..DIG.len() + 1,
        more in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = DIG.to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        bytes.truncate(len);
        bytes.extend(more);
        check_all_answers(&bytes)?;
    }

    #[test]
    fn any_name_is_asked_for_and_answered(
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..63), 0..5),
        kind in any::<u16>(),
        payload_bytes in any::<u16>(),
    ) {
        let Ok(name) = Name::from_labels(labels.iter().map(Vec::as_slice)) else {
            return Ok(());
        };
        let mut asked = message("a.", RecordType::from(kind));
        asked.queries[0].set_name(name);
        let bytes = with_edns(asked, payload_bytes).to_vec().unwrap();
        check_all_answers(&bytes)?;
    }
}

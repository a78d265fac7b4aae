//! Parses the bytes of a query into a question, or into the refusal that an invalid query gets.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, Metadata, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::{DNSClass, RecordType};

use super::{MAX_UDP_BYTES, MOST_AMPLIFICATION, PLAIN_UDP_BYTES};
use crate::model::dns::{DnsQuestion, RecordKind};

/// The length of the header, without which no answer is possible.
const HEADER_BYTES: usize = 12;
/// The supported version of EDNS, the only one there is.
const EDNS_VERSION: u8 = 0;

/// The meaning of a message.
#[derive(Clone, Debug)]
pub enum Received {
    /// A question to look up.
    Query(Box<Query>),
    /// Not a question for this zone; these bytes refuse it.
    Refusal(Vec<u8>),
    /// Noise, or an answer: it must not be answered, or two servers would answer each other without end.
    Nothing,
}

/// The protocol of a query and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In one datagram, whose address may be forged.
    Udp,
    /// Over a connection, with an answer of any length.
    Tcp,
}

/// The network of the client on whose behalf a resolver asks (RFC 7871).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The address; the bits after the prefix are zero.
    pub address: IpAddr,
    /// How many bits of it are told.
    pub prefix_bits: u8,
}

/// A query with all that its answer has to repeat.
#[derive(Clone, Debug)]
pub struct Query {
    /// The question.
    pub question: DnsQuestion,
    /// The client's subnet, if the resolver tells it and does not ask to ignore it.
    pub subnet: Option<Subnet>,
    /// The question as it was written, letter by letter: a resolver uses its case to recognise the answer.
    pub(super) asked: Asked,
    pub(super) metadata: Metadata,
    pub(super) edns: Option<Edns>,
    bytes: usize,
}

/// Reads a message. Never fails: an invalid query is an outcome too.
pub fn read(bytes: &[u8]) -> Received {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Received::Nothing;
    };
    let (is_answer, operation) = (header[2] & 0x80 != 0, header[2] >> 3 & 0x0f);
    let questions = u16::from_be_bytes([header[4], header[5]]);
    if is_answer {
        return Received::Nothing;
    }
    if operation != 0 {
        return Received::Refusal(refusal(header, ResponseCode::NotImp));
    }
    // Checked before the rest is read, because the reader makes room for as many as are announced.
    if questions != 1 {
        return Received::Refusal(refusal(header, ResponseCode::FormErr));
    }
    let message = Message::from_vec(bytes).ok();
    match message.and_then(|message| Query::new(message, bytes.len())) {
        Some(query) => query.judged(),
        None => Received::Refusal(refusal(header, ResponseCode::FormErr)),
    }
}

/// A header that repeats the number, the operation and the recursion bit of another one, with a code that refuses.
fn refusal(header: &[u8; HEADER_BYTES], code: ResponseCode) -> Vec<u8> {
    let mut answer = vec![0; HEADER_BYTES];
    answer[..2].copy_from_slice(&header[..2]);
    answer[2] = 0x80 | header[2] & 0x79;
    answer[3] = code.low();
    answer
}

impl Query {
    /// A query from a message; `None` if it is malformed.
    fn new(mut message: Message, bytes: usize) -> Option<Self> {
        let asked = message.queries.pop()?;
        let labels = asked.name().iter();
        let labels = labels.map(|label| String::from_utf8_lossy(label).to_ascii_lowercase());
        let question = DnsQuestion {
            labels: labels.collect(),
            kind: kind(asked.query_type()),
        };
        let subnet = match message
            .edns
            .as_ref()
            .map(|edns| edns.option(EdnsCode::Subnet))
        {
            Some(Some(EdnsOption::Subnet(option))) => Some(subnet(option)?),
            _ => None,
        };
        Some(Self {
            question,
            subnet: subnet.filter(|subnet| subnet.prefix_bits > 0),
            asked,
            metadata: message.metadata,
            edns: message.edns,
            bytes,
        })
    }

    /// Refuses queries that are well-formed and not for this server.
    fn judged(self) -> Received {
        let version = self.edns.as_ref().map_or(EDNS_VERSION, Edns::version);
        if version != EDNS_VERSION {
            return Received::Refusal(self.refuse_with(ResponseCode::BADVERS));
        }
        let transfer = matches!(self.asked.query_type(), RecordType::AXFR | RecordType::IXFR);
        if self.asked.query_class() != DNSClass::IN || transfer {
            return Received::Refusal(self.refuse_with(ResponseCode::Refused));
        }
        Received::Query(Box::new(self))
    }

    /// The longest answer.
    pub(super) fn room_bytes(&self, carrier: Carrier) -> usize {
        let stated = self.edns.as_ref().map_or(0, Edns::max_payload);
        let stated = usize::from(stated).clamp(PLAIN_UDP_BYTES, MAX_UDP_BYTES);
        match carrier {
            Carrier::Udp => stated.min(self.bytes * MOST_AMPLIFICATION),
            Carrier::Tcp => usize::from(u16::MAX),
        }
    }
}

fn kind(written: RecordType) -> RecordKind {
    match written {
        RecordType::A => RecordKind::A,
        RecordType::AAAA => RecordKind::Aaaa,
        RecordType::NS => RecordKind::Ns,
        RecordType::SOA => RecordKind::Soa,
        RecordType::TXT => RecordKind::Txt,
        RecordType::CAA => RecordKind::Caa,
        RecordType::ANY => RecordKind::Any,
        _ => RecordKind::Other,
    }
}

/// A client's subnet; `None` if bits are set that it says are not told: such a query is malformed (RFC 7871, 6).
fn subnet(option: &ClientSubnet) -> Option<Subnet> {
    let (address, prefix_bits) = (option.addr(), option.source_prefix());
    let untold = match address {
        IpAddr::V4(ip) => u32::MAX.checked_shr(prefix_bits.into()).unwrap_or(0) & ip.to_bits() == 0,
        IpAddr::V6(ip) => {
            u128::MAX.checked_shr(prefix_bits.into()).unwrap_or(0) & ip.to_bits() == 0
        }
    };
    untold.then_some(Subnet {
        address,
        prefix_bits,
    })
}

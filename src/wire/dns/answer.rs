//! Turns a finding into the bytes of an answer that fits.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{ClientSubnet, EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, AAAA, CAA, HINFO, NS, SOA, TXT};
use hickory_proto::rr::{Name, RData, Record as Written};

use super::MAX_UDP_BYTES;
use super::query::{Carrier, Query};
use crate::model::dns::{CaaTag, DnsRecord, RecordData, Soa, ZoneAnswer};
use crate::model::domain::DomainName;

/// How long a secondary server would wait before it asks for news, asks again, and gives the zone up, seconds.
/// There is none, as every node answers from its own knowledge, so these are just the usual numbers.
const REFRESH_S: i32 = 3_600;
const RETRY_S: i32 = 600;
const EXPIRE_S: i32 = 86_400;

impl Query {
    /// The answer. It depends on the first `scope_bits` of the client's subnet, if that was told: all clients that
    /// share them get the same answer, and with 0 all clients.
    pub fn answer(&self, finding: &ZoneAnswer, carrier: Carrier, scope_bits: u8) -> Vec<u8> {
        let mut message = self.reply(scope_bits);
        let (code, answers, authority) = match finding {
            ZoneAnswer::Records { answers, .. } => (ResponseCode::NoError, &answers[..], None),
            ZoneAnswer::NoData(soa) => (ResponseCode::NoError, &[][..], Some(soa)),
            ZoneAnswer::NoSuchName(soa) => (ResponseCode::NXDomain, &[][..], Some(soa)),
            ZoneAnswer::Outside => (ResponseCode::Refused, &[][..], None),
        };
        message.metadata.response_code = code;
        message.metadata.authoritative = *finding != ZoneAnswer::Outside;
        message.answers = answers.iter().map(|it| self.write(it)).collect();
        message.authorities = authority.iter().map(|it| self.write(it)).collect();
        if let ZoneAnswer::Records { glue, .. } = finding {
            message.additionals = glue.iter().map(|it| self.write(it)).collect();
        }
        self.fit(message, self.room_bytes(carrier))
    }

    /// An empty answer that tells the client to ask again over TCP.
    pub fn truncated(&self) -> Vec<u8> {
        self.cut(self.reply(0))
    }

    /// An answer with only a code.
    pub(super) fn refuse_with(&self, code: ResponseCode) -> Vec<u8> {
        let mut message = self.reply(0);
        message.metadata.response_code = code;
        bytes(&message)
    }

    /// The part of an answer that repeats the query. Recursion is never available; there is no DNSSEC, but its bit
    /// is repeated (RFC 3225).
    fn reply(&self, scope_bits: u8) -> Message {
        let mut message = Message::new(self.metadata.id, MessageType::Response, OpCode::Query);
        message.metadata.recursion_desired = self.metadata.recursion_desired;
        message.metadata.checking_disabled = self.metadata.checking_disabled;
        message.add_query(self.asked.clone());
        if let Some(theirs) = &self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_UDP_BYTES as u16);
            edns.set_dnssec_ok(theirs.flags().dnssec_ok);
            if let Some(EdnsOption::Subnet(subnet)) = theirs.option(EdnsCode::Subnet) {
                let source_bits = subnet.source_prefix();
                let echo =
                    ClientSubnet::new(subnet.addr(), source_bits, scope_bits.min(source_bits));
                edns.options_mut().insert(EdnsOption::Subnet(echo));
            }
            message.set_edns(edns);
        }
        message
    }

    /// Leaves out optional records, the last first; if that is not enough, all records, and marks the answer as
    /// truncated.
    fn fit(&self, mut message: Message, room_bytes: usize) -> Vec<u8> {
        loop {
            let written = bytes(&message);
            if written.len() <= room_bytes {
                return written;
            }
            if message.additionals.pop().is_none() {
                return self.cut(message);
            }
        }
    }

    fn cut(&self, mut message: Message) -> Vec<u8> {
        message.answers.clear();
        message.authorities.clear();
        message.additionals.clear();
        message.metadata.truncation = true;
        bytes(&message)
    }

    fn write(&self, record: &DnsRecord) -> Written {
        let data = match &record.data {
            RecordData::A(ip) => RData::A(A(*ip)),
            RecordData::Aaaa(ip) => RData::AAAA(AAAA(*ip)),
            RecordData::Ns(server) => RData::NS(NS(self.name(server))),
            RecordData::Soa(soa) => RData::SOA(self.soa(soa)),
            RecordData::Txt(text) => RData::TXT(TXT::new(vec![text.clone()])),
            RecordData::Caa(caa) => RData::CAA(caa_data(caa.tag, &caa.value)),
            RecordData::NotEverything => RData::HINFO(HINFO::new("RFC8482".into(), String::new())),
        };
        Written::from_rdata(self.name(&record.owner), record.ttl_s, data)
    }

    fn soa(&self, soa: &Soa) -> SOA {
        SOA::new(
            self.name(&soa.primary),
            self.name(&soa.contact),
            soa.serial,
            REFRESH_S,
            RETRY_S,
            EXPIRE_S,
            soa.negative_ttl_s,
        )
    }

    /// A name for the message: in the letters of the question as far as both are the same, so that it becomes a
    /// pointer.
    fn name(&self, name: &DomainName) -> Name {
        let own: Vec<&[u8]> = name.labels().map(str::as_bytes).collect();
        let asked: Vec<&[u8]> = self.asked.name().iter().collect();
        let pairs = own.iter().rev().zip(asked.iter().rev());
        let shared = pairs.take_while(|(own, asked)| own.eq_ignore_ascii_case(asked));
        let shared = shared.count();
        let (special, common) = (own.len() - shared, asked.len() - shared);
        let labels = own[..special].iter().chain(&asked[common..]).copied();
        Name::from_labels(labels).expect("a domain name has labels that fit")
    }
}

fn caa_data(tag: CaaTag, value: &str) -> CAA {
    // The crate's constructors would only split an issuer and join it again.
    let mut data = CAA::new_issue(false, None, Vec::new());
    data.tag = tag.as_str().to_owned();
    data.value = value.as_bytes().to_vec();
    data
}

fn bytes(message: &Message) -> Vec<u8> {
    // A dozen records at most, of names and texts whose lengths were checked when they were made.
    message.to_vec().expect("an answer of ours can be written")
}

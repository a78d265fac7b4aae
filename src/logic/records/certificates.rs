//! The account, the orders and the certificates of the mesh, as records of the document.
//!
//! None of them is an operator's setting. An account and an order are one field each, because the halves of two of them
//! make no whole: where two nodes write at once, one of the two stays.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::logic::document::Document;
use crate::model::acme::{
    AcmeAccount, CertificateOrder, CertificateSource, DnsProof, KeptCertificate, OpenOrder,
    SealedKey,
};
use crate::model::https::{CertificateName, HttpsSettings};
use crate::model::record::key::RecordKey;
use crate::model::record::{MAX_VALUE_BYTES, Record, Value};

use super::https;

/// The key of the account's record.
const ACCOUNT: &str = "acme-account";
/// The beginning of the keys of orders; the first name follows.
const ORDER_PREFIX: &str = "acme-order/";
/// The beginning of the keys of certificates; a number made of the chain follows.
const CERTIFICATE_PREFIX: &str = "certificate/";
/// The field of an account.
const ACCOUNT_FIELD: &str = "account";
/// The field of an order.
const ORDER_FIELD: &str = "order";
/// The field of an order that says when an operator has asked for it last, unix seconds.
const WISH_FIELD: &str = "wish_unix_s";
/// The longest chain that is kept: three times the longest that authorities send.
pub const MAX_CHAIN_BYTES: usize = 48 * 1024;
/// The most certificates that are kept: a mesh with a name for each of thirty nodes has two of each for a day.
pub const MAX_CERTIFICATES: usize = 128;

/// Everything that the document says of certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issuance {
    /// The settings.
    pub settings: HttpsSettings,
    /// The account with the authority.
    pub account: Option<AcmeAccount>,
    /// The orders that have not succeeded yet, by the first of their names.
    pub orders: BTreeMap<CertificateName, CertificateOrder>,
    /// When operators have asked for a new certificate, unix seconds, by the first of its names.
    pub wishes: BTreeMap<CertificateName, u64>,
    /// The certificates by the keys of their records.
    pub certificates: BTreeMap<RecordKey, KeptCertificate>,
}

impl Issuance {
    /// The orders that authorities may ask about now: none while HTTPS is off.
    pub fn open_orders(&self) -> impl Iterator<Item = (&CertificateOrder, &OpenOrder)> {
        let orders = self.orders.values().filter(|_| self.settings.is_on);
        orders.filter_map(|order| Some((order, order.open.as_ref()?)))
    }

    /// The proofs that have to be in DNS now.
    pub fn dns_proofs(&self) -> Vec<DnsProof> {
        let open = self.open_orders().map(|(_, open)| open);
        open.flat_map(|open| open.dns.iter().cloned()).collect()
    }

    /// The time to note for a certificate that is got now for these names: later than that of all others for one of them,
    /// whatever the clocks of the nodes say that got those.
    pub fn last_unix_s(&self, names: &[CertificateName], now_unix_s: u64) -> u64 {
        let is_of = |it: &KeptCertificate, name: &CertificateName| {
            let mut own = it.names.iter();
            own.any(|own| own.covers(name) || name.covers(own))
        };
        let is_for_one = |it: &&KeptCertificate| names.iter().any(|name| is_of(it, name));
        let others = self.certificates.values().filter(is_for_one);
        let after = others.map(|it| it.obtained_unix_s.saturating_add(1));
        after.chain([now_unix_s]).max().unwrap_or(now_unix_s)
    }
}

/// A record of certificates that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is damaged, or of a newer version")]
pub struct BadIssuanceRecord;

/// All that a document says of certificates, and the keys of records that cannot be used.
pub fn list(document: &Document) -> (Issuance, Vec<(RecordKey, BadIssuanceRecord)>) {
    let mut found = Issuance {
        settings: https::settings(document).0,
        ..Issuance::default()
    };
    let mut bad = Vec::new();
    for (key, record) in document.live() {
        let text = key.as_str();
        let is_used = if text == ACCOUNT {
            found.account = json(record, ACCOUNT_FIELD);
            found.account.is_some()
        } else if let Some(name) = text.strip_prefix(ORDER_PREFIX) {
            note_order(&mut found, name, record)
        } else if text.starts_with(CERTIFICATE_PREFIX) {
            let certificate = certificate(record);
            let is_used = certificate.is_some();
            if found.certificates.len() < MAX_CERTIFICATES {
                let entry = certificate.map(|it| (key.clone(), it));
                found.certificates.extend(entry);
            }
            is_used
        } else {
            true
        };
        if !is_used {
            bad.push((key.clone(), BadIssuanceRecord));
        }
    }
    (found, bad)
}

fn note_order(found: &mut Issuance, name: &str, record: &Record) -> bool {
    let Ok(name) = name.parse::<CertificateName>() else {
        return false;
    };
    if let Some(wish) = number(record, WISH_FIELD) {
        found.wishes.insert(name.clone(), wish);
    }
    if record.value(ORDER_FIELD).is_none() {
        return true;
    }
    let order: Option<CertificateOrder> = json(record, ORDER_FIELD);
    let order = order.filter(|order| order.names.first() == Some(&name));
    let is_used = order.is_some();
    found.orders.extend(order.map(|order| (name, order)));
    is_used
}

/// The key of the account's record.
pub fn account_key() -> RecordKey {
    RecordKey::try_from(ACCOUNT).expect("a plain word")
}

/// The key of an order's record.
pub fn order_key(first: &CertificateName) -> RecordKey {
    RecordKey::try_from(format!("{ORDER_PREFIX}{first}")).expect("a name fits a key")
}

/// The key of a certificate's record: the same for the same chain, on every node.
pub fn certificate_key(chain: &str) -> RecordKey {
    let hash = Sha256::digest(chain.as_bytes());
    let digits: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    RecordKey::try_from(format!("{CERTIFICATE_PREFIX}{digits}")).expect("digits fit a key")
}

/// The fields of an account.
pub fn account_fields(account: &AcmeAccount) -> BTreeMap<String, Value> {
    BTreeMap::from([(ACCOUNT_FIELD.to_owned(), written(account))])
}

/// The fields of an order.
pub fn order_fields(order: &CertificateOrder) -> BTreeMap<String, Value> {
    BTreeMap::from([(ORDER_FIELD.to_owned(), written(order))])
}

/// The fields by which an operator asks for a new certificate.
pub fn wish_fields(now_unix_s: u64) -> BTreeMap<String, Value> {
    BTreeMap::from([(WISH_FIELD.to_owned(), whole(now_unix_s))])
}

/// The fields of a certificate. The chain is in pieces, because a field has a bound.
pub fn certificate_fields(certificate: &KeptCertificate) -> BTreeMap<String, Value> {
    let names: Vec<&str> = certificate
        .names
        .iter()
        .map(CertificateName::as_str)
        .collect();
    let addresses: Vec<String> = certificate
        .addresses
        .iter()
        .map(IpAddr::to_string)
        .collect();
    let texts = [
        ("names", names.join(",")),
        ("addresses", addresses.join(",")),
        (
            "directory",
            certificate.directory.clone().unwrap_or_default(),
        ),
        ("key", certificate.key.0.clone()),
        ("serial", certificate.serial.clone()),
        ("issuer", certificate.issuer.clone()),
        ("source", certificate.source.word().to_owned()),
    ];
    let numbers = [
        ("not_before_unix_s", certificate.not_before_unix_s),
        ("not_after_unix_s", certificate.not_after_unix_s),
        ("obtained_unix_s", certificate.obtained_unix_s),
    ];
    let texts = texts.map(|(name, text)| (name.to_owned(), Value::Text(text)));
    let numbers = numbers.map(|(name, number)| (name.to_owned(), whole(number)));
    let pieces = pieces(&certificate.chain).into_iter().enumerate();
    let pieces = pieces.map(|(place, piece)| (chain_field(place), Value::Text(piece.to_owned())));
    texts.into_iter().chain(numbers).chain(pieces).collect()
}

fn chain_field(place: usize) -> String {
    format!("chain_{place}")
}

/// The pieces of a text, each as long as a field may be. PEM is ASCII; other texts are cut between letters.
fn pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let (piece, rest) = text.split_at(text.floor_char_boundary(MAX_VALUE_BYTES));
        pieces.push(piece);
        text = rest;
    }
    pieces
}

fn certificate(record: &Record) -> Option<KeptCertificate> {
    let names = parts(text(record, "names")?)?;
    // Older versions write neither of the two.
    let addresses = parts(text(record, "addresses").unwrap_or_default())?;
    let directory = text(record, "directory").filter(|it| !it.is_empty());
    let source = [CertificateSource::Ordered, CertificateSource::Imported];
    let word = text(record, "source")?;
    let chain = (0..).map_while(|place| text(record, &chain_field(place)));
    let chain: String = chain.collect();
    (!chain.is_empty() && chain.len() <= MAX_CHAIN_BYTES).then_some(())?;
    Some(KeptCertificate {
        names,
        addresses,
        chain,
        key: SealedKey(text(record, "key")?.to_owned()),
        not_before_unix_s: number(record, "not_before_unix_s")?,
        not_after_unix_s: number(record, "not_after_unix_s")?,
        serial: text(record, "serial")?.to_owned(),
        issuer: text(record, "issuer")?.to_owned(),
        directory: directory.map(str::to_owned),
        source: source.into_iter().find(|it| it.word() == word)?,
        obtained_unix_s: number(record, "obtained_unix_s")?,
    })
}

/// The parts of a list with commas.
fn parts<T: FromStr>(text: &str) -> Option<Vec<T>> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    parts.map(|part| part.parse().ok()).collect()
}

fn text<'a>(record: &'a Record, field: &str) -> Option<&'a str> {
    match record.value(field)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn number(record: &Record, field: &str) -> Option<u64> {
    match record.value(field)? {
        Value::Number(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(record: &Record, field: &str) -> Option<T> {
    serde_json::from_str(text(record, field)?).ok()
}

fn written<T: Serialize>(value: &T) -> Value {
    Value::Text(serde_json::to_string(value).expect("texts and numbers have a JSON"))
}

fn whole(number: u64) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::NodeName;
    use crate::model::record::MAX_RECORD_BYTES;
    use crate::model::seat::{Epoch, Fence};

    fn node() -> NodeName {
        NodeName::try_from("a").unwrap()
    }

    fn order(name: &str) -> CertificateOrder {
        let open = OpenOrder {
            url: "https://ca.example/order/1".to_owned(),
            account: "https://ca.example/account/1".to_owned(),
            key: SealedKey("sealed".to_owned()),
            thumbprint: "thumb".to_owned(),
            dns: vec![DnsProof {
                owner: format!("_acme-challenge.{name}"),
                text: "text".to_owned(),
            }],
        };
        CertificateOrder {
            names: vec![name.parse().unwrap()],
            fence: Fence {
                epoch: Epoch(3),
                node: node(),
            },
            began_unix_s: 5,
            open: Some(open),
            failures: 2,
            next_unix_s: 9,
            wait_s: 4,
            fault: Some("why".to_owned()),
        }
    }

    fn kept(chain: &str) -> KeptCertificate {
        KeptCertificate {
            names: vec!["*.b.example".parse().unwrap(), "b.example".parse().unwrap()],
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            chain: chain.to_owned(),
            key: SealedKey("sealed".to_owned()),
            not_before_unix_s: 1,
            not_after_unix_s: 2,
            serial: "0a".to_owned(),
            issuer: "CA".to_owned(),
            directory: Some("https://ca.example/dir".to_owned()),
            source: CertificateSource::Imported,
            obtained_unix_s: 3,
        }
    }

    #[test]
    fn everything_survives_the_document() {
        let mut document = Document::new(node());
        let account = AcmeAccount {
            directory: "https://ca.example/dir".to_owned(),
            id: "https://ca.example/account/1".to_owned(),
            key: SealedKey("sealed".to_owned()),
        };
        let order = order("a.example");
        let first = order.first_name().clone();
        let long = kept(&"x".repeat(MAX_CHAIN_BYTES));
        let edits = [
            (account_key(), account_fields(&account)),
            (order_key(&first), order_fields(&order)),
            (order_key(&first), wish_fields(77)),
            (certificate_key(&long.chain), certificate_fields(&long)),
        ];
        for (key, fields) in edits {
            let record = document.edit(&key, fields, 1).unwrap();
            assert!(record.canonical_bytes().len() < MAX_RECORD_BYTES);
        }
        let (found, bad) = list(&document);
        assert_eq!(bad, []);
        assert_eq!(found.account, Some(account));
        assert_eq!(found.orders[&first], order);
        assert_eq!(found.wishes[&first], 77);
        assert_eq!(found.certificates[&certificate_key(&long.chain)], long);
    }

    #[test]
    fn half_a_record_is_named_and_left_out() {
        let mut document = Document::new(node());
        let certificate = kept("chain");
        let mut half = certificate_fields(&certificate);
        half.remove("chain_0");
        let other = order("a.example");
        let wrong_name: CertificateName = "b.example".parse().unwrap();
        let edits = [
            (certificate_key("chain"), half),
            (order_key(&wrong_name), order_fields(&other)),
            (
                account_key(),
                BTreeMap::from([("account".to_owned(), Value::Text("{".to_owned()))]),
            ),
        ];
        let keys: Vec<RecordKey> = edits.iter().map(|(key, _)| key.clone()).collect();
        for (key, fields) in edits {
            document.edit(&key, fields, 1).unwrap();
        }
        let (found, bad) = list(&document);
        assert_eq!(found, Issuance::default());
        let mut named: Vec<RecordKey> = bad.into_iter().map(|(key, _)| key).collect();
        named.sort();
        let mut expected = keys;
        expected.sort();
        assert_eq!(named, expected);
    }
}

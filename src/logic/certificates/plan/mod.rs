//! The next step of the issuer, by what the document says and which certificates are wanted.
//!
//! Everything that counts (certificates, failures, times) is in the document, so a node that takes the seat over goes on where
//! the one before has ended.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::slice;

use super::claim::{ClaimedOrder, claimed};
use super::names::{ProofWay, WantedCertificate};
use super::precedence::precedence;
use super::renewal::{
    DAY_S, RenewalWindow, got_at_unix_s, next_try_unix_s, renew_at_unix_s, urgent_at_unix_s,
};
use crate::logic::records::certificates::{Issuance, order_key};
use crate::model::acme::{CertificateSource, KeptCertificate};
use crate::model::https::CertificateName;
use crate::model::record::key::RecordKey;
use crate::model::seat::Fence;

/// The most certificates that are got for the same names within a day, or within the lifetime of one where that is shorter:
/// a renewal, and one that an operator asks for. Authorities give five a week.
const RATION: usize = 2;
/// How long a certificate is kept beside a newer one, seconds, or for its lifetime where that is shorter: until then its order
/// counts against [`RATION`].
const SUPERSEDED_S: u64 = DAY_S;
/// How long a certificate that has ended is kept while there is no other: it says what was there.
const EXPIRED_S: u64 = 30 * DAY_S;
/// How long an order for a name that nobody wants is kept: a node that is away for some days comes back to its back-off.
const UNWANTED_S: u64 = 7 * DAY_S;

/// The facts that the issuer decides by.
#[derive(Clone, Copy, Debug)]
pub struct IssuerView<'a> {
    /// The document's part, without the certificates that are locked.
    pub issuance: &'a Issuance,
    /// The certificates whose keys cannot be opened here: they are of no use, and count for nothing.
    pub locked: &'a BTreeMap<RecordKey, KeptCertificate>,
    /// The certificates that are wanted.
    pub wanted: &'a [WantedCertificate],
    /// The windows that the authority has named, by the serial numbers of certificates.
    pub windows: &'a BTreeMap<String, RenewalWindow>,
    /// The claim of the node that holds the seat; `None` while no node does.
    pub holder: Option<&'a Fence>,
    /// Whether this node sees at most half of the nodes.
    pub is_minority: bool,
    /// The time, unix seconds.
    pub now_unix_s: u64,
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerStep {
    /// Delete this record.
    Remove(RecordKey),
    /// Order this certificate, or go on with its order.
    Order(WantedCertificate),
    /// Nothing is due before this time, unix seconds; `None`: nothing at all.
    Rest(Option<u64>),
}

/// The next thing to do. Of several orders the one that was due first comes first, so none waits for ever.
pub fn next_step(view: IssuerView<'_>) -> IssuerStep {
    if let Some(key) = superfluous(view) {
        return IssuerStep::Remove(key);
    }
    let due = view
        .wanted
        .iter()
        .filter_map(|it| Some((due_at(view, it)?, it)));
    match due.min_by_key(|(at, _)| *at) {
        Some((at, wanted)) if at <= view.now_unix_s => IssuerStep::Order(wanted.clone()),
        first => IssuerStep::Rest(first.map(|(at, _)| at)),
    }
}

/// The certificate that is used for these names, of those that are for all of them.
pub fn held<'a>(
    issuance: &'a Issuance,
    names: &[CertificateName],
    now_unix_s: u64,
) -> Option<&'a KeptCertificate> {
    let certificates = issuance.certificates.iter();
    let fitting = certificates.filter(|(_, certificate)| certificate.covers(names));
    let best = fitting.max_by_key(|(key, it)| (precedence(it, names, now_unix_s), *key));
    best.map(|(_, certificate)| certificate)
}

/// Whether a certificate is used for any of its names or addresses.
pub fn is_used(issuance: &Issuance, certificate: &KeptCertificate, now_unix_s: u64) -> bool {
    let mut names = certificate.names.iter();
    let mut addresses = certificate.addresses.iter();
    let is_first = |address: &IpAddr| {
        let all = issuance.certificates.iter();
        let fitting = all.filter(|(_, it)| it.addresses.contains(address));
        let best = fitting.max_by_key(|(key, it)| (precedence(it, &[], now_unix_s), *key));
        best.map(|(_, it)| it) == Some(certificate)
    };
    names.any(|name| held(issuance, slice::from_ref(name), now_unix_s) == Some(certificate))
        || addresses.any(is_first)
}

/// All wanted orders that the holder of the seat leaves alone.
pub fn all_claimed(view: IssuerView<'_>) -> Vec<ClaimedOrder> {
    let names = view.wanted.iter().map(|it| it.first_name());
    let claimed = |name| claimed(view.issuance, view.holder, name, view.now_unix_s);
    names.filter_map(claimed).collect()
}

/// When a certificate is to be ordered, unix seconds; `None`: never.
pub fn due_at(view: IssuerView<'_>, wanted: &WantedCertificate) -> Option<u64> {
    if wanted.way == ProofWay::No {
        return None;
    }
    let issuance = view.issuance;
    let held = held(issuance, &wanted.names, view.now_unix_s);
    // One that was imported before its time is bridged. An authority's own begins at once, by every clock that is right.
    let is_usable = |it: &&KeptCertificate| {
        it.source == CertificateSource::Ordered || !it.is_upcoming(view.now_unix_s)
    };
    let held = held.filter(is_usable);
    let order = issuance.orders.get(wanted.first_name());
    let order = order.filter(|order| order.names == wanted.names);
    let window = |held: &KeptCertificate| view.windows.get(&held.serial).copied();
    let by_time = held.map_or(0, |held| renew_at_unix_s(held, window(held)));
    let is_open = order.is_some_and(|order| order.open.is_some());
    let mut at = if is_open { 0 } else { by_time };
    let wish = issuance.wishes.get(wanted.first_name()).copied();
    let obtained = held.map_or(0, |held| held.obtained_unix_s);
    let is_wished = wish.is_some_and(|wish| wish > obtained);
    if is_wished {
        at = 0;
    }
    // A wish ends the wait for the next try, because whoever utters it may have mended what was wrong; the tries after that
    // wait again.
    if let Some(order) = order
        && wish.is_none_or(|wish| wish <= order.began_unix_s)
    {
        at = at.max(next_try_unix_s(order, view.now_unix_s));
    }
    if view.is_minority
        && let Some(held) = held
    {
        at = at.max(urgent_at_unix_s(held));
    }
    // While another node's claim holds, only this name waits.
    if let Some(claimed) = claimed(issuance, view.holder, wanted.first_name(), view.now_unix_s) {
        at = at.max(claimed.until_unix_s);
    }
    match is_open {
        true => Some(at),
        false => Some(at.max(rationed_until(issuance, wanted, view.now_unix_s))),
    }
}

/// When the mesh may get another certificate for these names from the authority that it asks now, unix seconds. What another
/// one has given, such as one for trials, counts there.
pub fn rationed_until(issuance: &Issuance, wanted: &WantedCertificate, now_unix_s: u64) -> u64 {
    let all = issuance.certificates.values();
    let directory = issuance.settings.directory.as_str();
    // Older versions did not note where one came from.
    let is_from_here =
        |it: &KeptCertificate| it.directory.as_deref().is_none_or(|it| it == directory);
    let own = all.filter(|it| {
        it.source == CertificateSource::Ordered && it.names == wanted.names && is_from_here(it)
    });
    let times = own.filter_map(|it| Some((got_at_unix_s(it, now_unix_s)?, it.lifetime_s())));
    let mut times: Vec<(u64, u64)> = times.collect();
    times.sort_unstable();
    let [.., (first_unix_s, _), (_, lifetime_s)] = times.as_slice() else {
        return 0;
    };
    debug_assert_eq!(RATION, 2, "the last two are looked at");
    first_unix_s.saturating_add(DAY_S.min(*lifetime_s))
}

/// A record that is not needed any more.
fn superfluous(view: IssuerView<'_>) -> Option<RecordKey> {
    let now = view.now_unix_s;
    let issuance = view.issuance;
    let certificates = issuance.certificates.iter().chain(view.locked);
    let mut old = certificates.filter(|(key, certificate)| {
        let is_over = certificate.not_after_unix_s.saturating_add(EXPIRED_S) < now;
        is_over || is_superseded(issuance, key, certificate, now)
    });
    let unwanted = || {
        let mut orders = issuance.orders.values();
        orders.find(|order| {
            let is_wanted = view.wanted.iter().any(|it| it.names == order.names);
            let is_ended = !issuance.settings.is_on && order.open.is_some();
            is_ended || !is_wanted && order.began_unix_s.saturating_add(UNWANTED_S) < now
        })
    };
    let order = || Some(order_key(unwanted()?.first_name()));
    old.next().map(|(key, _)| key.clone()).or_else(order)
}

/// Whether another certificate has been used in the place of this one for long enough.
fn is_superseded(issuance: &Issuance, key: &RecordKey, old: &KeptCertificate, now: u64) -> bool {
    if old.is_upcoming(now) {
        return false;
    }
    let rank = |it: &KeptCertificate| precedence(it, &old.names, now);
    let mut others = issuance.certificates.iter();
    others.any(|(other_key, other)| {
        let is_before = (rank(other), other_key) > (rank(old), key);
        let has_addresses = old.addresses.iter().all(|it| other.addresses.contains(it));
        let beside = SUPERSEDED_S.min(old.lifetime_s());
        let latest = old.obtained_unix_s.max(other.obtained_unix_s);
        let is_settled = latest.saturating_add(beside) < now;
        is_before && is_settled && has_addresses && other.covers(&old.names)
    })
}

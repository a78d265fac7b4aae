//! Orders in their time, and those that are never made.

use proptest::prelude::*;

use super::super::names::wanted;
use super::super::renewal::samples::certificate;
use super::*;
use crate::logic::records::certificates::certificate_key;
use crate::model::acme::{CertificateOrder, OpenOrder, SealedKey};
use crate::model::node::NodeName;
use crate::model::seat::{Epoch, Fence};

const NOW: u64 = 1_800_000_000;
const LIFETIME: u64 = 90 * DAY_S;

/// Everything that is known, and the time at which it is looked at.
struct Desk {
    issuance: Issuance,
    wanted: Vec<WantedCertificate>,
    windows: BTreeMap<String, RenewalWindow>,
    holder: Fence,
    locked: BTreeMap<RecordKey, KeptCertificate>,
    is_minority: bool,
    now_unix_s: u64,
}

impl Desk {
    fn wanting(names: &str) -> Self {
        let mut issuance = Issuance::default();
        issuance.settings.is_on = true;
        Self {
            issuance,
            wanted: wanted(&Default::default(), [], &names.parse().unwrap()),
            windows: BTreeMap::new(),
            holder: fence(1),
            locked: BTreeMap::new(),
            is_minority: false,
            now_unix_s: NOW,
        }
    }

    fn keep(&mut self, certificate: KeptCertificate) -> RecordKey {
        let key = certificate_key(&certificate.chain);
        self.issuance.certificates.insert(key.clone(), certificate);
        key
    }

    fn put_order(&mut self, name: &str, change: impl FnOnce(&mut CertificateOrder)) {
        let mut order = CertificateOrder {
            names: vec![name.parse().unwrap()],
            fence: fence(1),
            began_unix_s: NOW - 10,
            open: None,
            failures: 1,
            next_unix_s: NOW + 100,
            wait_s: 0,
            fault: None,
        };
        change(&mut order);
        self.issuance
            .orders
            .insert(order.first_name().clone(), order);
    }

    fn step(&self) -> IssuerStep {
        next_step(IssuerView {
            issuance: &self.issuance,
            locked: &self.locked,
            wanted: &self.wanted,
            windows: &self.windows,
            holder: Some(&self.holder),
            is_minority: self.is_minority,
            now_unix_s: self.now_unix_s,
        })
    }

    fn ordered(&self) -> Option<String> {
        match self.step() {
            IssuerStep::Order(wanted) => Some(wanted.first_name().to_string()),
            _ => None,
        }
    }
}

fn fence(epoch: u64) -> Fence {
    Fence {
        epoch: Epoch(epoch),
        node: NodeName::try_from("a").unwrap(),
    }
}

fn open() -> OpenOrder {
    OpenOrder {
        url: String::new(),
        account: String::new(),
        key: SealedKey::default(),
        thumbprint: String::new(),
        dns: Vec::new(),
    }
}

#[test]
fn a_name_without_a_certificate_is_ordered_at_once() {
    let desk = Desk::wanting("a.example");
    assert_eq!(desk.ordered().as_deref(), Some("a.example"));
    assert_eq!(Desk::wanting("*.a.example").step(), IssuerStep::Rest(None));
    assert_eq!(Desk::wanting("").step(), IssuerStep::Rest(None));
}

#[test]
fn a_certificate_is_renewed_in_its_time_also_if_another_one_covers_the_name() {
    let mut desk = Desk::wanting("a.example");
    desk.keep(certificate("b.example+*.example.org", NOW, LIFETIME));
    assert!(desk.ordered().is_some(), "another's is of no use");
    desk.keep(certificate("a.example+c.example", NOW, LIFETIME));
    let IssuerStep::Rest(Some(at)) = desk.step() else {
        panic!("{:?}", desk.step());
    };
    desk.now_unix_s = at;
    assert!(desk.ordered().is_some());
    let window = RenewalWindow {
        start_unix_s: NOW + 5,
        end_unix_s: NOW + 5,
    };
    desk.windows.insert(format!("{NOW:x}"), window);
    desk.now_unix_s = NOW;
    assert_eq!(
        desk.step(),
        IssuerStep::Rest(Some(NOW + 5)),
        "the authority is asked first"
    );
}

#[test]
fn one_bad_name_keeps_no_other_waiting() {
    let mut desk = Desk::wanting("a.example,b.example");
    desk.put_order("a.example", |_| {});
    assert_eq!(desk.ordered().as_deref(), Some("b.example"));
    desk.keep(certificate("b.example", NOW, LIFETIME));
    assert_eq!(desk.step(), IssuerStep::Rest(Some(NOW + 100)));
}

#[test]
fn an_order_of_a_later_claim_keeps_no_other_waiting() {
    let mut desk = Desk::wanting("a.example,b.example");
    let claimed = |began_unix_s| {
        move |order: &mut CertificateOrder| {
            (order.open, order.next_unix_s) = (Some(open()), 0);
            (order.fence, order.began_unix_s) = (fence(7), began_unix_s);
        }
    };
    desk.put_order("a.example", claimed(NOW - 10));
    let a_example: CertificateName = "a.example".parse().unwrap();
    desk.issuance.wishes.insert(a_example, NOW);
    assert_eq!(desk.ordered().as_deref(), Some("b.example"));
    desk.keep(certificate("b.example", NOW, LIFETIME));
    assert_eq!(desk.step(), IssuerStep::Rest(Some(NOW + 590)));
    desk.put_order("a.example", claimed(NOW + 3 * DAY_S));
    assert_eq!(desk.ordered().as_deref(), Some("a.example"), "taken over");
}

#[test]
fn one_that_nobody_can_open_goes_a_day_after_the_next_one() {
    let mut desk = Desk::wanting("a.example");
    let locked = certificate("a.example", NOW - 9 * DAY_S, LIFETIME);
    let key = certificate_key(&locked.chain);
    desk.locked.insert(key.clone(), locked);
    assert_eq!(desk.ordered().as_deref(), Some("a.example"));
    desk.keep(certificate("a.example", NOW, LIFETIME));
    assert!(matches!(desk.step(), IssuerStep::Rest(_)));
    desk.now_unix_s += DAY_S + 1;
    assert_eq!(desk.step(), IssuerStep::Remove(key));
}

#[test]
fn a_wish_is_heard_once() {
    let mut desk = Desk::wanting("a.example");
    let name: CertificateName = "a.example".parse().unwrap();
    desk.put_order("a.example", |_| {});
    desk.issuance.wishes.insert(name.clone(), NOW - 11);
    assert_eq!(desk.ordered(), None, "it was tried since");
    desk.issuance.wishes.insert(name.clone(), NOW - 5);
    assert!(desk.ordered().is_some());
    desk.issuance.orders.clear();
    desk.keep(certificate("a.example", NOW - 4, LIFETIME));
    assert_eq!(desk.ordered(), None, "it is done");
    desk.issuance.wishes.insert(name, NOW);
    assert!(desk.ordered().is_some());
}

#[test]
fn the_next_try_of_a_clock_that_was_ahead_is_due() {
    let mut desk = Desk::wanting("a.example");
    for (next_unix_s, wait_s, is_due) in [
        (NOW + 5, 5, false),
        (NOW + 8 * DAY_S, 8 * DAY_S, false), // the authority has asked for it
        (NOW + 3 * DAY_S + 5, 5, true),
        (NOW + DAY_S, 0, false),
        (NOW + 8 * DAY_S, 0, true),
    ] {
        desk.put_order("a.example", |order| {
            (order.next_unix_s, order.wait_s) = (next_unix_s, wait_s);
        });
        assert_eq!(desk.ordered().is_some(), is_due, "{next_unix_s} {wait_s}");
    }
}

#[test]
fn what_a_clock_that_was_ahead_has_noted_takes_nothing_of_the_ration() {
    let mut desk = Desk::wanting("a.example");
    desk.issuance
        .wishes
        .insert("a.example".parse().unwrap(), NOW + 5 * DAY_S);
    let mut keep_two = |begun: u64| {
        desk.issuance.certificates.clear();
        for seconds in [1, 2] {
            desk.keep(KeptCertificate {
                obtained_unix_s: NOW + 3 * DAY_S + seconds,
                ..certificate("a.example", begun + seconds, LIFETIME)
            });
        }
        desk.step()
    };
    assert!(matches!(keep_two(NOW + 3 * DAY_S), IssuerStep::Order(_)));
    let true_time = IssuerStep::Rest(Some(NOW - 99 + DAY_S));
    assert_eq!(keep_two(NOW - 100), true_time, "the authority knows it");
}

#[test]
fn an_open_order_is_gone_on_with_and_a_resting_one_waits() {
    let mut desk = Desk::wanting("a.example");
    desk.keep(certificate("a.example", NOW - 100, LIFETIME));
    desk.put_order("a.example", |order| {
        (order.open, order.next_unix_s) = (Some(open()), 0);
    });
    assert!(desk.ordered().is_some());
    desk.put_order("a.example", |order| order.open = Some(open()));
    assert_eq!(desk.step(), IssuerStep::Rest(Some(NOW + 100)));
}

#[test]
fn an_open_order_ends_when_https_is_turned_off() {
    let mut desk = Desk::wanting("");
    desk.put_order("a.example", |order| order.open = Some(open()));
    desk.put_order("b.example", |_| {});
    assert_eq!(desk.step(), IssuerStep::Rest(None), "both may come back");
    desk.issuance.settings.is_on = false;
    let key = order_key(&"a.example".parse().unwrap());
    assert_eq!(desk.step(), IssuerStep::Remove(key));
    desk.issuance.orders.remove(&"a.example".parse().unwrap());
    assert_eq!(desk.step(), IssuerStep::Rest(None), "its back-off stays");
}

#[test]
fn a_minority_renews_only_what_is_about_to_end() {
    let mut desk = Desk::wanting("a.example");
    desk.is_minority = true;
    assert!(desk.ordered().is_some(), "there is none at all");
    let begun = NOW - 70 * DAY_S;
    desk.keep(certificate("a.example", begun, LIFETIME));
    assert_eq!(desk.step(), IssuerStep::Rest(Some(begun + 83 * DAY_S)));
    desk.is_minority = false;
    assert!(desk.ordered().is_some());
}

#[test]
fn old_certificates_and_orders_go_and_the_last_one_stays() {
    let mut desk = Desk::wanting("a.example");
    let old = desk.keep(certificate("a.example", NOW - 60 * DAY_S, LIFETIME));
    desk.keep(certificate("a.example", NOW - 2 * DAY_S, LIFETIME));
    assert_eq!(desk.step(), IssuerStep::Remove(old));

    let mut desk = Desk::wanting("a.example");
    let fresh = |desk: &mut Desk| {
        desk.keep(certificate("a.example", NOW - 60 * DAY_S, LIFETIME));
        desk.keep(certificate("a.example", NOW - 100, LIFETIME));
    };
    fresh(&mut desk);
    assert!(matches!(desk.step(), IssuerStep::Rest(_)), "not yet");

    let mut desk = Desk::wanting("a.example");
    let over = desk.keep(certificate(
        "a.example",
        NOW - LIFETIME - 29 * DAY_S,
        LIFETIME,
    ));
    assert!(desk.ordered().is_some());
    desk.now_unix_s += 2 * DAY_S;
    assert_eq!(desk.step(), IssuerStep::Remove(over));

    let mut desk = Desk::wanting("");
    desk.put_order("gone.example", |order| order.began_unix_s = NOW - 8 * DAY_S);
    let gone = order_key(&"gone.example".parse().unwrap());
    assert_eq!(desk.step(), IssuerStep::Remove(gone));
}

#[test]
fn what_another_authority_has_given_is_not_counted() {
    let mut desk = Desk::wanting("a.example");
    let trial = |at| KeptCertificate {
        directory: Some("https://trial.example/dir".to_owned()),
        ..certificate("a.example", at, LIFETIME)
    };
    desk.keep(trial(NOW - 20));
    desk.keep(trial(NOW - 10));
    let name: CertificateName = "a.example".parse().unwrap();
    desk.issuance.wishes.insert(name, NOW);
    assert!(desk.ordered().is_some());
    desk.issuance.settings.directory = "https://trial.example/dir".to_owned();
    assert_eq!(desk.step(), IssuerStep::Rest(Some(NOW - 20 + DAY_S)));
}

#[test]
fn what_was_imported_stays_until_it_is_about_to_end() {
    let mut desk = Desk::wanting("a.example");
    desk.keep(certificate("a.example", NOW - DAY_S, LIFETIME));
    let imported = KeptCertificate {
        source: CertificateSource::Imported,
        obtained_unix_s: NOW,
        ..certificate("a.example", NOW - 2 * DAY_S, 30 * DAY_S)
    };
    let key = desk.keep(imported.clone());
    let held = |desk: &Desk| {
        let names = ["a.example".parse().unwrap()];
        held(&desk.issuance, &names, desk.now_unix_s).cloned()
    };
    assert_eq!(held(&desk), Some(imported));
    desk.now_unix_s = NOW + 2 * DAY_S;
    let IssuerStep::Remove(gone) = desk.step() else {
        panic!("{:?}", desk.step());
    };
    assert_ne!(gone, key, "the one that ends later is not used any more");
    desk.issuance.certificates.remove(&gone);
    assert!(matches!(desk.step(), IssuerStep::Rest(Some(_))));
    desk.now_unix_s = NOW + 20 * DAY_S;
    assert!(desk.ordered().is_some());
    desk.keep(certificate("a.example", desk.now_unix_s, LIFETIME));
    let used = held(&desk).unwrap();
    assert_eq!(used.source, CertificateSource::Ordered);
}

#[test]
fn one_that_was_imported_before_its_time_is_bridged_and_then_used() {
    let mut desk = Desk::wanting("a.example");
    let imported = KeptCertificate {
        source: CertificateSource::Imported,
        obtained_unix_s: NOW,
        ..certificate("a.example", NOW + 3 * DAY_S, LIFETIME)
    };
    desk.keep(imported.clone());
    desk.is_minority = true;
    assert_eq!(desk.ordered().as_deref(), Some("a.example"));
    desk.is_minority = false;
    desk.keep(certificate("a.example", NOW + 1, LIFETIME));
    desk.now_unix_s = NOW + 2 * DAY_S;
    assert!(
        matches!(desk.step(), IssuerStep::Rest(Some(_))),
        "both stay"
    );
    desk.now_unix_s = NOW + 3 * DAY_S;
    let names = ["a.example".parse().unwrap()];
    let used = held(&desk.issuance, &names, desk.now_unix_s);
    assert_eq!(used, Some(&imported));
}

#[test]
fn an_address_of_an_older_certificate_keeps_it() {
    let mut desk = Desk::wanting("");
    let with_address = KeptCertificate {
        addresses: vec!["192.0.2.1".parse().unwrap()],
        ..certificate("a.example", NOW - 9 * DAY_S, LIFETIME)
    };
    desk.keep(with_address.clone());
    desk.keep(certificate("a.example", NOW - 5 * DAY_S, LIFETIME));
    assert_eq!(desk.step(), IssuerStep::Rest(None));
    assert!(is_used(&desk.issuance, &with_address, NOW));
}

proptest! {
    /// However often somebody wishes, and whatever is removed: no more than two a day.
    #[test]
    fn no_more_than_two_are_got_in_a_day(gaps in prop::collection::vec(1_u64..20_000, 1..60)) {
        let mut desk = Desk::wanting("a.example");
        let name: CertificateName = "a.example".parse().unwrap();
        let mut got: Vec<u64> = Vec::new();
        for gap in gaps {
            desk.now_unix_s += gap;
            desk.issuance.wishes.insert(name.clone(), desk.now_unix_s);
            match desk.step() {
                IssuerStep::Remove(key) => drop(desk.issuance.certificates.remove(&key)),
                IssuerStep::Order(_) => {
                    got.push(desk.now_unix_s);
                    desk.keep(certificate("a.example", desk.now_unix_s, LIFETIME));
                }
                IssuerStep::Rest(_) => {}
            }
        }
        for three in got.windows(3) {
            prop_assert!(three[2] - three[0] >= DAY_S, "{got:?}");
        }
    }

    /// Left alone for years, a name always has a certificate, and is ordered no more often than it has to be.
    #[test]
    fn a_name_is_never_without_for_long(lifetime_s in 60_u64..100 * DAY_S, minority: bool) {
        let mut desk = Desk::wanting("a.example");
        let mut ordered = 0_u64;
        let end = NOW + 20 * lifetime_s;
        while desk.now_unix_s < end {
            desk.is_minority = minority && ordered > 0;
            match desk.step() {
                IssuerStep::Remove(key) => drop(desk.issuance.certificates.remove(&key)),
                IssuerStep::Order(wanted) => {
                    let held = held(&desk.issuance, &wanted.names, desk.now_unix_s);
                    let is_valid = held.is_none_or(|it| desk.now_unix_s < it.not_after_unix_s);
                    prop_assert!(ordered == 0 || is_valid);
                    ordered += 1;
                    desk.keep(certificate("a.example", desk.now_unix_s, lifetime_s));
                }
                IssuerStep::Rest(at) => {
                    let at = at.expect("a renewal is planned");
                    prop_assert!(at > desk.now_unix_s);
                    desk.now_unix_s = at;
                }
            }
            prop_assert!(desk.issuance.certificates.len() <= 6);
        }
        prop_assert!(ordered <= 35, "{ordered}");
    }
}

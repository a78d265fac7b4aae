//! Answers the questions of authorities by HTTP (RFC 8555, section 8.3), at any node, for any order of the mesh.

use crate::logic::records::certificates::Issuance;
use crate::model::acme::{CertificateOrder, OpenOrder};

/// The path below which authorities ask.
pub const PATH: &str = "/.well-known/acme-challenge/";
/// The longest token: those of authorities have 43 letters.
const MAX_TOKEN_BYTES: usize = 128;

/// The answer to a token, for the host that was asked; `None` while no order is open, or if it is no token.
///
/// The token is in the question and the fingerprint is public, so the answer tells nothing. That this host gives it is the
/// proof.
pub fn answer(issuance: &Issuance, host: &str, token: &str) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_token = (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(is_letter);
    let open = open_order(issuance, host).filter(|_| is_token)?;
    Some(format!("{token}.{}", open.thumbprint))
}

/// The open order for a host, or else any: the host may be told otherwise by a proxy.
fn open_order<'a>(issuance: &'a Issuance, host: &str) -> Option<&'a OpenOrder> {
    let host = host.split(':').next().unwrap_or_default();
    let has_host = |order: &CertificateOrder| {
        let mut names = order.names.iter();
        names.any(|name| name.as_str().eq_ignore_ascii_case(host))
    };
    let of_host = issuance.open_orders().find(|(order, _)| has_host(order));
    let (_, open) = of_host.or_else(|| issuance.open_orders().next())?;
    Some(open)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::acme::SealedKey;
    use crate::model::seat::{Epoch, Fence};

    fn put(issuance: &mut Issuance, name: &str, thumbprint: &str) {
        let order = CertificateOrder {
            names: vec![name.parse().unwrap()],
            fence: Fence {
                epoch: Epoch(1),
                node: "a".parse().unwrap(),
            },
            began_unix_s: 0,
            open: Some(OpenOrder {
                url: String::new(),
                account: String::new(),
                key: SealedKey::default(),
                thumbprint: thumbprint.to_owned(),
                dns: Vec::new(),
            }),
            failures: 0,
            next_unix_s: 0,
            wait_s: 0,
            fault: None,
        };
        issuance.orders.insert(order.first_name().clone(), order);
    }

    #[test]
    fn a_token_is_answered_while_an_order_is_open() {
        let mut issuance = Issuance::default();
        issuance.settings.is_on = true;
        let asked = |issuance: &Issuance, token| answer(issuance, "a.example:80", token);
        assert_eq!(asked(&issuance, "abc"), None);
        put(&mut issuance, "b.example", "other");
        assert_eq!(asked(&issuance, "abc").as_deref(), Some("abc.other"));
        put(&mut issuance, "a.example", "thumb");
        assert_eq!(asked(&issuance, "a-_9").as_deref(), Some("a-_9.thumb"));
        assert_eq!(answer(&issuance, "x", "t").as_deref(), Some("t.thumb"));
        let long = "a".repeat(MAX_TOKEN_BYTES + 1);
        for wrong in ["", "a.b", "a/b", "é", "a b", "a%20", &long] {
            assert_eq!(asked(&issuance, wrong), None, "{wrong}");
        }
        issuance.settings.is_on = false;
        assert_eq!(asked(&issuance, "abc"), None, "an operator has ended it");
        issuance.settings.is_on = true;
        for order in issuance.orders.values_mut() {
            order.open = None;
        }
        assert_eq!(asked(&issuance, "abc"), None);
    }
}

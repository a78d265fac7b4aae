//! `GET /livez?nonce=…`: a node proves its identity to a peer.
//!
//! Any server may answer at an address; but a code over the nonce, by a key that only the mesh has, can only be made by
//! a node of the mesh, and names that node.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::model::node::NodeName;

/// The path to ask for.
pub const PATH: &str = "/livez";
/// The digits in which codes are written.
const HEX: &[u8; 16] = b"0123456789abcdef";
/// The most of an answer that is read: `ok`, a name and a code.
pub const MAX_ANSWER_BYTES: usize = 1_024;
/// How many letters of another answer are shown to an operator.
const MAX_QUOTED_LETTERS: usize = 40;

/// A number that is used once, as 32 hexadecimal digits. Strangers cannot choose a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(u128);

impl Nonce {
    /// Makes a nonce of a number, which should be random.
    pub fn new(number: u128) -> Self {
        Self(number)
    }

    /// The path and query of a question with this nonce.
    pub fn target(self) -> String {
        format!("{PATH}?nonce={:032x}", self.0)
    }

    /// The nonce in a request's query, if there is one.
    pub fn of_query(query: &str) -> Option<Self> {
        let hex = query.split('&').find_map(|it| it.strip_prefix("nonce="))?;
        let digits = hex.len() == 32 && hex.bytes().all(|it| it.is_ascii_hexdigit());
        let number = u128::from_str_radix(hex, 16).ok().filter(|_| digits)?;
        Some(Self(number))
    }
}

/// The keys that every node of a mesh knows, and no stranger: they prove answers.
#[derive(Clone)]
pub struct ProofKeys(Vec<[u8; 32]>);

impl std::fmt::Debug for ProofKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The proof in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The answer is from this node of the mesh.
    By(NodeName),
    /// Nothing is proved; this is the beginning of the answer.
    Unproven(String),
}

impl ProofKeys {
    /// One key for each of the cluster's keys, derived for this purpose only; the first one proves, all are accepted.
    pub fn new(keys: Vec<[u8; 32]>) -> Self {
        Self(keys)
    }

    /// The answer of a node that was asked with this nonce.
    pub fn answer(&self, node: &NodeName, nonce: Nonce) -> String {
        let key = self.0.first().copied().unwrap_or_default();
        let code = code(&key, node, nonce).finalize().into_bytes();
        let digits = code.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits: String = digits.map(|it| char::from(HEX[usize::from(it)])).collect();
        format!("ok\n{node} {digits}\n")
    }

    /// The node that has answered a question with this nonce.
    pub fn read(&self, nonce: Nonce, answer: &str) -> Answered {
        let said = answer
            .strip_prefix("ok\n")
            .and_then(|it| it.split_once(' '));
        let named =
            said.and_then(|(name, hex)| Some((NodeName::try_from(name).ok()?, bytes(hex)?)));
        let proved = named.filter(|(name, proof)| {
            let proves = |key| code(key, name, nonce).verify_slice(proof).is_ok();
            self.0.iter().any(proves)
        });
        match proved {
            Some((name, _)) => Answered::By(name),
            None => {
                let plain = |it: char| if it.is_control() { ' ' } else { it };
                let begin = answer.chars().take(MAX_QUOTED_LETTERS).map(plain);
                Answered::Unproven(begin.collect::<String>().trim().to_owned())
            }
        }
    }
}

fn code(key: &[u8; 32], node: &NodeName, nonce: Nonce) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    code.update(node.as_str().as_bytes());
    code.update(&[0]); // No name has a zero byte.
    code.update(&nonce.0.to_be_bytes());
    code
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.trim_end().as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let pairs = digits.chunks(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> NodeName {
        NodeName::try_from(text).unwrap()
    }

    #[test]
    fn a_node_proves_its_name_to_holders_of_a_key() {
        let (old, new) = ([1; 32], [2; 32]);
        let nonce = Nonce::new(7);
        let answer = ProofKeys::new(vec![new, old]).answer(&name("n1"), nonce);
        let by_n1 = Answered::By(name("n1"));
        assert_eq!(ProofKeys::new(vec![old, new]).read(nonce, &answer), by_n1);
        let stranger = ProofKeys::new(vec![[3; 32]]);
        assert_ne!(stranger.read(nonce, &answer), by_n1);
        let keys = ProofKeys::new(vec![new]);
        assert_ne!(keys.read(Nonce::new(8), &answer), by_n1, "an old answer");
        let renamed = answer.replace("n1", "n2");
        assert!(matches!(keys.read(nonce, &renamed), Answered::Unproven(_)));
    }

    #[test]
    fn an_answer_that_proves_nothing_is_quoted_in_one_line() {
        let keys = ProofKeys::new(vec![[1; 32]]);
        let page = format!("<html>\n\u{1b}[31m{}", "x".repeat(1_000));
        let Answered::Unproven(quoted) = keys.read(Nonce::new(1), &page) else {
            panic!("a page proves nothing");
        };
        assert!(
            quoted.starts_with("<html>  [31mxxx") && quoted.len() == 40,
            "{quoted}"
        );
        assert_eq!(
            keys.read(Nonce::new(1), "ok\n"),
            Answered::Unproven("ok".to_owned())
        );
    }

    #[test]
    fn a_nonce_is_read_back_from_its_query() {
        let nonce = Nonce::new(u128::MAX / 3);
        let (path, query) = nonce
            .target()
            .split_once('?')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        assert_eq!(path, PATH);
        assert_eq!(Nonce::of_query(&query), Some(nonce));
        for bad in [
            "",
            "nonce=",
            "nonce=12",
            "nonce=+0000000000000000000000000000001",
            &"nonce=".repeat(9),
        ] {
            assert_eq!(Nonce::of_query(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(answer: String, hex in "ok\nn1 [0-9a-fé]{0,80}") {
            let keys = ProofKeys::new(vec![[1; 32]]);
            prop_assert!(matches!(keys.read(Nonce::new(1), &answer), Answered::Unproven(_)));
            prop_assert!(matches!(keys.read(Nonce::new(1), &hex), Answered::Unproven(_)));
        }
    }
}

//! Signed tokens, by which any node of the mesh lets a listener in without asking anybody: `?token=UNTIL.NAME.CODE`.
//!
//! UNTIL is the end in Unix seconds, with an `i` behind it where the token holds for one address only, or a `p` where a node has made it
//! for a listener that it sends on. NAME is whose token it is, in base64url. CODE is an HMAC of it all under a key of the
//! mount, which follows from a key of the mesh and the mount's `token_series`.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use percent_encoding::percent_decode_str;
use sha2::Sha256;

use crate::model::mount::MountName;
use crate::model::network::customer;

/// The parameter of a query in which a token stands.
pub const PARAMETER: &str = "token";
/// The longest name in a token: that of an account, or what an operator calls the listener.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest token: its numbers, and the longest name.
const MAX_TOKEN_BYTES: usize = 160;
/// Bytes of the code: nobody guesses 2^128.
const CODE_BYTES: usize = 16;

/// The keys of a mesh, of which the first one signs. A secret that is being changed has several.
#[derive(Clone)]
pub struct TokenKeys(Vec<[u8; 32]>);

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The mount that a token is for, and the series of its tokens that are valid.
#[derive(Clone, Copy, Debug)]
pub struct TokenMount<'a> {
    /// The mount.
    pub mount: &'a MountName,
    /// The series.
    pub series: u32,
}

/// For whom a token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever has it.
    Bearer,
    /// The client at this address, or in its /64 of IPv6.
    Address(IpAddr),
    /// A listener that was let in by its login and is sent on.
    SentOn,
}

/// The words of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenWords {
    /// Until when it holds, Unix seconds.
    pub until_unix_s: u64,
    /// For whom it holds.
    pub holder: Holder,
    /// The name of an account, or one that an operator has chosen; may be empty.
    pub name: String,
}

/// Why a token lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// The text has not the form of a token.
    #[error("it is no token")]
    Form,
    /// The code is not that of this mesh, mount, series and address.
    #[error(
        "the token is not one of this mesh for this mount and this address, or is of an earlier series"
    )]
    Code,
    /// The time is over.
    #[error("the token has ended")]
    Ended,
}

impl TokenKeys {
    /// Keys of these bytes, which must be derived from the secrets of the mesh for this purpose only.
    pub fn new(keys: Vec<[u8; 32]>) -> Self {
        Self(keys)
    }

    /// Signs a token.
    pub fn mint(&self, of: TokenMount<'_>, words: &TokenWords) -> String {
        let key = self.0.first().expect("a mesh has a key");
        let code = code(key, of, words).finalize().into_bytes();
        let code = URL_SAFE_NO_PAD.encode(&code[..CODE_BYTES]);
        let (mark, name) = (mark(words.holder), URL_SAFE_NO_PAD.encode(&words.name));
        format!("{}{mark}.{name}.{code}", words.until_unix_s)
    }

    /// The words of a token that is genuine, and holds for a client at this time.
    pub fn check(
        &self,
        of: TokenMount<'_>,
        token: &str,
        ip: IpAddr,
        now_unix_s: u64,
    ) -> Result<TokenWords, BadToken> {
        let (words, proof) = read(token, ip).ok_or(BadToken::Form)?;
        let mut keys = self.0.iter();
        let is_genuine =
            keys.any(|key| code(key, of, &words).verify_truncated_left(&proof).is_ok());
        match (is_genuine, now_unix_s < words.until_unix_s) {
            (false, _) => Err(BadToken::Code),
            (true, false) => Err(BadToken::Ended),
            (true, true) => Ok(words),
        }
    }
}

/// The letter that says for whom a token holds.
fn mark(holder: Holder) -> &'static str {
    match holder {
        Holder::Bearer => "",
        Holder::Address(_) => "i",
        Holder::SentOn => "p",
    }
}

fn read(token: &str, ip: IpAddr) -> Option<(TokenWords, [u8; CODE_BYTES])> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let mut parts = token.split('.');
    let (until, name, code) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = until.trim_end_matches(['i', 'p']);
    let holder = match &until[digits.len()..] {
        "" => Holder::Bearer,
        "i" => Holder::Address(ip),
        "p" => Holder::SentOn,
        _ => return None,
    };
    // `parse` would accept a leading plus.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let until_unix_s = digits.parse().ok().filter(|_| is_number)?;
    let name = String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
    let code = URL_SAFE_NO_PAD.decode(code).ok()?.try_into().ok()?;
    let words = TokenWords {
        until_unix_s,
        holder,
        name,
    };
    let ends = parts.next().is_none() && words.name.len() <= MAX_NAME_BYTES;
    ends.then_some((words, code))
}

fn code(key: &[u8; 32], of: TokenMount<'_>, words: &TokenWords) -> Hmac<Sha256> {
    let mut of_mount = hmac(key);
    of_mount.update(&of.series.to_be_bytes());
    of_mount.update(of.mount.as_str().as_bytes());
    let mut code = hmac(&of_mount.finalize().into_bytes());
    code.update(&words.until_unix_s.to_be_bytes());
    code.update(mark(words.holder).as_bytes());
    code.update(&[0]);
    if let Holder::Address(ip) = words.holder {
        code.update(customer(ip).to_string().as_bytes());
    }
    code.update(&[0]);
    code.update(words.name.as_bytes());
    code
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Whether a text has the letters of a token, so that it may stand in an address that others read.
pub fn is_shaped(token: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    token.len() <= MAX_TOKEN_BYTES && token.bytes().all(fits)
}

/// The token in a query, decoded, if there is one.
pub fn of_query(query: &str) -> Option<String> {
    let value = pairs(query).find_map(|(key, value)| (key == PARAMETER).then_some(value))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// A query with this token in the place of any that it has.
pub fn with_token(query: &str, token: &str) -> String {
    let others = query.split('&').filter(|pair| {
        let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
        key != PARAMETER && !pair.is_empty()
    });
    let own = format!("{PARAMETER}={token}");
    let pairs: Vec<&str> = others.chain([own.as_str()]).collect();
    pairs.join("&")
}

fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter_map(|pair| pair.split_once('='))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn keys(digits: &[u8]) -> TokenKeys {
        TokenKeys::new(digits.iter().map(|digit| [*digit; 32]).collect())
    }

    fn words(holder: Holder) -> TokenWords {
        TokenWords {
            until_unix_s: NOW + 60,
            holder,
            name: "alice".to_owned(),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_holds_for_its_mount_series_and_time() {
        let (keys, mount, other) = (
            keys(&[1]),
            "/a.mp3".parse().unwrap(),
            "/b.mp3".parse().unwrap(),
        );
        let of = TokenMount {
            mount: &mount,
            series: 1,
        };
        let token = keys.mint(of, &words(Holder::Bearer));
        let at = ip("192.0.2.1");
        assert_eq!(keys.check(of, &token, at, NOW), Ok(words(Holder::Bearer)));
        assert_eq!(keys.check(of, &token, at, NOW + 60), Err(BadToken::Ended));
        for wrong in [
            TokenMount {
                mount: &other,
                ..of
            },
            TokenMount { series: 2, ..of },
        ] {
            assert_eq!(keys.check(wrong, &token, at, NOW), Err(BadToken::Code));
        }
        let rotated = self::keys(&[2, 1]);
        assert!(rotated.check(of, &token, at, NOW).is_ok());
        let strange = self::keys(&[2]);
        assert_eq!(strange.check(of, &token, at, NOW), Err(BadToken::Code));
        let longer = token.replace(&(NOW + 60).to_string(), &(NOW + 90).to_string());
        assert_eq!(keys.check(of, &longer, at, NOW), Err(BadToken::Code));
        let passed = token.replacen('.', "p.", 1);
        assert_eq!(keys.check(of, &passed, at, NOW), Err(BadToken::Code));
    }

    #[test]
    fn a_token_of_an_address_is_of_no_other() {
        let (keys, mount) = (keys(&[1]), "/a.mp3".parse().unwrap());
        let of = TokenMount {
            mount: &mount,
            series: 0,
        };
        let check = |token: &str, from: &str| keys.check(of, token, ip(from), NOW).is_ok();
        let four = keys.mint(of, &words(Holder::Address(ip("192.0.2.1"))));
        assert!(check(&four, "192.0.2.1") && check(&four, "::ffff:192.0.2.1"));
        assert!(!check(&four, "192.0.2.2"));
        let six = keys.mint(of, &words(Holder::Address(ip("2001:db8::1"))));
        assert!(check(&six, "2001:db8::2") && !check(&six, "2001:db8:1::1"));
    }

    #[test]
    fn a_query_has_one_token_at_most() {
        assert_eq!(of_query("a=b&token=x%2Ey&c"), Some("x.y".to_owned()));
        assert_eq!(of_query("tokens=x&token"), None);
        assert_eq!(with_token("", "t"), "token=t");
        assert_eq!(with_token("a=b&token=x&c&token", "t"), "a=b&c&token=t");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let mount = "/a.mp3".parse().unwrap();
            let of = TokenMount { mount: &mount, series: 0 };
            let _bad = keys(&[1]).check(of, &text, ip("::1"), NOW);
            let _found = of_query(&text);
        }

        #[test]
        fn what_is_minted_is_genuine(name in ".{0,16}", until in NOW + 1..u64::MAX) {
            let mount = "/a.mp3".parse().unwrap();
            let of = TokenMount { mount: &mount, series: 0 };
            let words = TokenWords { until_unix_s: until, holder: Holder::Bearer, name };
            let token = keys(&[1]).mint(of, &words);
            prop_assert_eq!(keys(&[1]).check(of, &token, ip("::1"), NOW), Ok(words));
        }
    }
}

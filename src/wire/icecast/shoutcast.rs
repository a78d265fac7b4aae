//! The login of Shoutcast 1: an encoder begins with a line that holds its password, and waits for `OK2`.
//!
//! The line names no mount, or hides it in front of the password. So it has several readings, and a password may hold
//! a colon itself: [`ShoutcastLogin::readings`] says which of them are worth a check.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::mount::{MountName, MountSpec};
use crate::wire::http::text::text_of;

/// The longest line with a password. Shoutcast itself cuts passwords at far less.
pub const MAX_LOGIN_BYTES: usize = 256;

/// Empty lines before the first line, in bytes, as before a request.
const MAX_LEADING_BYTES: usize = 4;

/// Carriage returns before a line feed, as in a request.
const MAX_CARRIAGE_RETURNS: usize = 2;

/// How many readings of one login are checked: each check costs as much as that of a stranger's guess.
const MAX_READINGS: usize = 2;

/// How many mounts are searched for the one whose password a login is that names none: a wrong guess has so many checks,
/// one after the other, and the queue of logins holds up whoever guesses.
pub const MAX_SEARCHED: usize = 8;

/// The first line of libshout, which by the answer finds out with whom it speaks.
const POKE: &str = "!POKE";

/// The answer to a right password. liquidsoap reads two lines, and waits 30 s for the second one.
pub const ACCEPTED: &[u8] = b"OK2\r\nicy-caps:11\r\n\r\n";

/// The answer to a wrong password, in the words that butt and DarkIce look for.
pub const REFUSED: &[u8] = b"invalid password\r\n";

/// The protocol that a port is for, where a line could be of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortUse {
    /// HTTP: a line with a space is a request, and perhaps a malformed one.
    #[default]
    Http,
    /// Shoutcast: a line that does not name a version of HTTP is a password.
    Shoutcast,
    /// HTTPS and nothing else. Within TLS it is as with HTTP.
    Https,
}

/// The kind of the first line of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstLine {
    /// Not to be told from these bytes yet.
    More,
    /// The beginning of a request.
    Request,
    /// A question of libshout, which is closed without an answer. The real login follows on another connection.
    Poke,
    /// The login of a Shoutcast source.
    Login {
        /// The line.
        login: ShoutcastLogin,
        /// How many bytes of the buffer the line has; the headers begin after them.
        len: usize,
    },
    /// Nothing of these.
    Noise,
}

impl FirstLine {
    /// Looks at the first bytes of a connection. More bytes never change a verdict.
    pub fn read(buffer: &[u8], port: PortUse) -> Self {
        let is_line_end = |byte: &&u8| matches!(byte, b'\r' | b'\n');
        let start = buffer.iter().take_while(is_line_end).count();
        if start > MAX_LEADING_BYTES {
            return Self::Request; // An invalid one: its reader says why.
        }
        let line = &buffer[start..];
        for (at, &byte) in line.iter().enumerate() {
            match byte {
                b'\n' => return Self::of_line(&line[..at], port, start + at + 1),
                b' ' if port != PortUse::Shoutcast => return Self::Request,
                // Whether the line ends here is seen when it has.
                b'\r' if at < MAX_LOGIN_BYTES + MAX_CARRIAGE_RETURNS => {}
                _ if at >= MAX_LOGIN_BYTES => {
                    return match line[..at].contains(&b' ') {
                        true => Self::Request,
                        false => Self::Noise,
                    };
                }
                _ if byte.is_ascii_control() => return Self::Noise,
                _ if at > 0 && line[at - 1] == b'\r' => return Self::Noise,
                _ => {}
            }
        }
        Self::More
    }

    fn of_line(line: &[u8], port: PortUse, len: usize) -> Self {
        let text = text_of(line.trim_ascii_end());
        if text == POKE {
            Self::Poke
        } else if port == PortUse::Shoutcast && is_request_line(&text) {
            Self::Request
        } else {
            let login = ShoutcastLogin(text);
            Self::Login { login, len }
        }
    }
}

/// Whether a line ends with a version, as the first line of each request does.
fn is_request_line(line: &str) -> bool {
    line.rsplit_once(' ')
        .is_some_and(|(_, version)| version.starts_with("HTTP/") || version.starts_with("ICE/"))
}

/// The line that a Shoutcast source logs in with. Shows itself without it.
#[derive(Clone, PartialEq, Eq)]
pub struct ShoutcastLogin(String);

impl fmt::Debug for ShoutcastLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShoutcastLogin(***)")
    }
}

/// One way to read a login. Shows itself without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginReading<'a> {
    /// The mount that the source would be for. If the login names a user, it is the one of this mount.
    pub spec: &'a MountSpec,
    /// The password. May be empty, and may hold colons.
    pub password: &'a str,
}

impl fmt::Debug for LoginReading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginReading")
            .field("mount", &self.spec.path)
            .finish_non_exhaustive()
    }
}

impl ShoutcastLogin {
    /// The login in a query, cut to the longest line with a password.
    pub fn of(pass: &str) -> Self {
        Self(pass[..pass.floor_char_boundary(MAX_LOGIN_BYTES)].to_owned())
    }

    /// The ways to read the login that are worth a check, the likeliest first: `user:mount:password`, `mount:password`,
    /// `user:password` for the default mount or else for the only mount of that user, and the whole line as the password
    /// of the default mount. The mount may have its slash. A `:#1` at the end, which numbers the streams of later versions, is not looked at.
    pub fn readings<'a>(
        &'a self,
        mounts: &'a BTreeMap<MountName, MountSpec>,
        default: Option<&MountName>,
    ) -> Vec<LoginReading<'a>> {
        let default = default.and_then(|name| mounts.get(name));
        let line = without_stream_number(&self.0);
        let mut readings = Vec::new();
        if let Some((name, password)) = line.split_once(':') {
            readings.extend(behind_user(name, password, mounts));
            let named = named_mount(name, mounts).or_else(|| mount_of_user(name, mounts, default));
            readings.extend(named.map(|spec| LoginReading { spec, password }));
        }
        for password in [line, &self.0] {
            readings.extend(default.map(|spec| LoginReading { spec, password }));
        }
        readings.dedup();
        readings.truncate(MAX_READINGS);
        readings
    }

    /// Whether the login names a mount that does not exist, in front of the password or behind a user. What has neither a
    /// slash in front nor a dot in it is rather a user, or a part of the password.
    pub fn names_missing(&self, mounts: &BTreeMap<MountName, MountSpec>) -> bool {
        let line = without_stream_number(&self.0);
        let Some((front, _password)) = line.rsplit_once(':') else {
            return false;
        };
        let mut names = front.split(':').take(MAX_READINGS);
        let looks_so = |name: &str| name.starts_with('/') || name.contains('.');
        let has_name = names.clone().any(looks_so);
        has_name && names.all(|name| named_mount(name, mounts).is_none())
    }

    /// The login read as nothing but the password of each of these mounts. None of them if they are too many.
    pub fn searching<'a>(
        &'a self,
        mounts: impl Iterator<Item = &'a MountSpec>,
    ) -> Vec<LoginReading<'a>> {
        let password = without_stream_number(&self.0);
        let readings = mounts.map(|spec| LoginReading { spec, password });
        let mut readings: Vec<_> = readings.take(MAX_SEARCHED + 1).collect();
        if readings.len() > MAX_SEARCHED {
            readings.clear();
        }
        readings
    }
}

/// The mount of this name, which may lack its slash.
fn named_mount<'a>(
    name: &str,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> Option<&'a MountSpec> {
    mounts.get(&MountName::with_or_without_slash(name).ok()?)
}

/// The reading of a login whose user is followed by `mount:password`, if that mount's sources log in as this user.
fn behind_user<'a>(
    user: &str,
    rest: &'a str,
    mounts: &'a BTreeMap<MountName, MountSpec>,
) -> Option<LoginReading<'a>> {
    let (name, password) = rest.split_once(':')?;
    let spec = named_mount(name, mounts).filter(|spec| spec.user.as_str() == user)?;
    Some(LoginReading { spec, password })
}

/// The default mount if its sources log in as this user, else the only mount whose sources do.
fn mount_of_user<'a>(
    user: &str,
    mounts: &'a BTreeMap<MountName, MountSpec>,
    default: Option<&'a MountSpec>,
) -> Option<&'a MountSpec> {
    let is_theirs = |spec: &&MountSpec| spec.user.as_str() == user;
    default.filter(is_theirs).or_else(|| {
        let mut theirs = mounts.values().filter(is_theirs);
        theirs.next().filter(|_| theirs.next().is_none())
    })
}

/// The line without `:#1` at its end.
fn without_stream_number(line: &str) -> &str {
    match line.rsplit_once(":#") {
        Some((login, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => login,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mount(path: &str) -> MountName {
        MountName::try_from(path).unwrap()
    }

    fn mounts(users: &[(&str, &str)]) -> BTreeMap<MountName, MountSpec> {
        let specs = users.iter().map(|(path, user)| MountSpec {
            user: user.parse().unwrap(),
            ..MountSpec::new(mount(path))
        });
        specs.map(|spec| (spec.path.clone(), spec)).collect()
    }

    #[test]
    fn a_password_alone_is_looked_for_among_a_few_mounts_only() {
        let login = ShoutcastLogin::of("pass:word:#2");
        let names: Vec<String> = (0..=MAX_SEARCHED)
            .map(|number| format!("/{number}"))
            .collect();
        let names: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "source")).collect();
        let mounts = mounts(&names);
        let few = login.searching(mounts.values().skip(1));
        assert_eq!(few.len(), MAX_SEARCHED);
        assert!(few.iter().all(|reading| reading.password == "pass:word"));
        assert!(login.searching(mounts.values()).is_empty());
    }

    fn login(line: &str, port: PortUse) -> String {
        match FirstLine::read(line.as_bytes(), port) {
            FirstLine::Login { login, len } => {
                assert_eq!(len, line.find('\n').map_or(0, |at| at + 1), "{line:?}");
                login.0
            }
            other => panic!("{line:?}: {other:?}"),
        }
    }

    #[test]
    fn a_login_may_name_a_mount_that_does_not_exist() {
        let mounts = mounts(&[("/radio.mp3", "source"), ("/b", "dj")]);
        for (line, is_missing) in [
            ("/radoi.mp3:abc", true),
            ("radoi.mp3:abc", true),
            ("dj:/nope:abc", true),
            ("/nope:a:b:c:#1", true),
            ("/radio.mp3:abc", false),
            ("radio.mp3:a.b:c", false),
            ("dj:b:abc", false),
            ("source:abc", false),
            ("/nope", false),
            ("a.b", false),
            ("", false),
        ] {
            let login = ShoutcastLogin::of(line);
            assert_eq!(login.names_missing(&mounts), is_missing, "{line}");
        }
    }

    #[test]
    fn a_password_is_a_line_in_every_way_to_end_one() {
        for end in ["\n", "\r\n", "\r\r\n"] {
            for password in ["hackme", "/radio.mp3:pw", "pw:#1", "dj:a:b", "é", "{x}"] {
                for port in [PortUse::Http, PortUse::Shoutcast] {
                    assert_eq!(login(&format!("{password}{end}icy-name:N"), port), password);
                }
            }
        }
        let latin = FirstLine::read(b"\xe9t\xe9\n", PortUse::Http);
        let utf8 = ShoutcastLogin("été".to_owned());
        assert!(matches!(latin, FirstLine::Login { login, .. } if login == utf8));
        let longest = "x".repeat(MAX_LOGIN_BYTES);
        assert_eq!(login(&format!("{longest}\r\r\n"), PortUse::Http), longest);
    }

    #[test]
    fn a_line_with_a_space_is_a_password_on_its_own_port_only() {
        let secret = "my own secret\r\n";
        assert_eq!(login(secret, PortUse::Shoutcast), "my own secret");
        let on_door = FirstLine::read(secret.as_bytes(), PortUse::Http);
        assert_eq!(on_door, FirstLine::Request);
        for request in [
            "GET / HTTP/1.1\r\n",
            "SOURCE /a ICE/1.0\n",
            "\r\nPUT /a HTTP/1.0\r\r\n",
        ] {
            for port in [PortUse::Http, PortUse::Shoutcast] {
                let read = FirstLine::read(request.as_bytes(), port);
                assert_eq!(read, FirstLine::Request, "{request:?}");
            }
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MAX_LOGIN_BYTES));
        let read = FirstLine::read(long.as_bytes(), PortUse::Shoutcast);
        assert_eq!(read, FirstLine::Request);
    }

    #[test]
    fn noise_is_known_without_waiting() {
        let endless = "x".repeat(MAX_LOGIN_BYTES + 1);
        for noise in [
            &b"\x16\x03\x01"[..],
            b"\0",
            b"pass\0word",
            b"pass\rword",
            b"a\tb\n",
            endless.as_bytes(),
        ] {
            for port in [PortUse::Http, PortUse::Shoutcast] {
                let read = FirstLine::read(noise, port);
                assert_eq!(read, FirstLine::Noise, "{noise:?}");
            }
        }
        let poke = b"!POKE\nicy-name:libshout server poke request\n\n";
        assert_eq!(FirstLine::read(poke, PortUse::Http), FirstLine::Poke);
        assert_eq!(FirstLine::read(b"!POK", PortUse::Http), FirstLine::More);
        assert_eq!(FirstLine::read(b"", PortUse::Shoutcast), FirstLine::More);
        let empty = FirstLine::read(b"\r\n\r\n\r", PortUse::Shoutcast);
        assert_eq!(empty, FirstLine::Request, "an invalid one");
    }

    fn readings(line: &str, default: Option<&str>) -> Vec<(String, String)> {
        let known = mounts(&[
            ("/live", "source"),
            ("/jazz", "source"),
            ("/news/en", "desk"),
        ]);
        let default = default.map(mount);
        let login = ShoutcastLogin(line.to_owned());
        let readings = login.readings(&known, default.as_ref());
        let told = readings.iter();
        told.map(|it| (it.spec.path.to_string(), it.password.to_owned()))
            .collect()
    }

    #[test]
    fn a_login_is_read_in_the_likeliest_ways() {
        let of = |mount: &str, password: &str| (mount.to_owned(), password.to_owned());
        let live = |password| of("/live", password);
        let jazz = |password| of("/jazz", password);
        let default = Some("/live");
        assert_eq!(readings("pw", default), [live("pw")]);
        assert_eq!(readings("pw:#1", default), [live("pw"), live("pw:#1")]);
        assert_eq!(readings("a:b", default), [live("a:b")], "a password");
        assert_eq!(readings("/jazz:a:b", None), [jazz("a:b")]);
        assert_eq!(readings("jazz:pw:#2", None), [jazz("pw")]);
        let both = [jazz("pw"), live("jazz:pw")];
        assert_eq!(readings("jazz:pw", default), both);
        let news = || of("/news/en", "pw");
        assert_eq!(readings("news/en:pw", None), [news()]);
        assert_eq!(readings("desk:pw", None), [news()], "its only mount");
        assert_eq!(readings("desk:pw", default), [news(), live("desk:pw")]);
        assert_eq!(readings("source:/jazz:a:b:#1", None), [jazz("a:b")]);
        assert_eq!(
            readings("desk:news/en:pw", None),
            [news(), of("/news/en", "news/en:pw")]
        );
        let foreign = of("/news/en", "jazz:pw");
        assert_eq!(readings("desk:jazz:pw", None), [foreign], "not its mount");
        let numbered = [live("pw"), live("source:pw")];
        assert_eq!(readings("source:pw:#1", default), numbered);
    }

    #[test]
    fn a_login_that_names_no_mount_has_no_reading() {
        for line in ["pw", "source:pw", "/none:pw", "none:pw", ":pw", "pw:"] {
            assert_eq!(readings(line, None), [], "{line}");
            assert!(!readings(line, Some("/live")).is_empty(), "{line}");
            assert_eq!(readings(line, Some("/gone")), [], "{line}");
        }
    }

    #[test]
    fn a_login_does_not_print_its_password() {
        let login = ShoutcastLogin("/live:hackme".to_owned());
        assert!(!format!("{login:?}").contains("hackme"));
        let known = mounts(&[("/live", "source")]);
        let readings = login.readings(&known, None);
        assert_eq!(readings.len(), 1);
        assert!(!format!("{readings:?}").contains("hackme"));
    }

    proptest! {
        #[test]
        fn no_cut_changes_the_verdict(
            bytes in prop::collection::vec(prop_oneof![
                Just(b'\r'), Just(b'\n'), Just(b' '), Just(b':'), Just(b'a'), any::<u8>(),
            ], 0..300),
            ends in "( HTTP/1\\.0)?(\r\n)?",
            is_shoutcast: bool,
        ) {
            let port = if is_shoutcast { PortUse::Shoutcast } else { PortUse::Http };
            let bytes = [&bytes[..], ends.as_bytes()].concat();
            let whole = FirstLine::read(&bytes, port);
            for cut in 0..bytes.len() {
                let read = FirstLine::read(&bytes[..cut], port);
                prop_assert!(read == FirstLine::More || read == whole, "{read:?} at {cut}");
            }
        }

        #[test]
        fn any_login_has_few_readings(line in "\\PC{0,64}", number in "(:#[0-9]{0,3})?") {
            let known = mounts(&[("/live", "source"), ("/jazz", "dj")]);
            let login = ShoutcastLogin(line + &number);
            let readings = login.readings(&known, Some(&mount("/live")));
            prop_assert!((1..=MAX_READINGS).contains(&readings.len()));
        }
    }
}

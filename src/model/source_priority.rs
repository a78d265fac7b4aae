//! The order of several sources of a mount: the first of them that sends is to be heard.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The words in a login's user name in front of the priority: `source--priority=2`.
const MARK: &str = "--priority";
/// The last of the priorities: a digit is enough for all studios of a station.
const LAST: u8 = 9;

/// The order of a source among those of its mount: the least is heard first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u8", into = "u8")]
pub struct SourcePriority(u8);

impl SourcePriority {
    /// That of a source that says nothing of it, and logs in with the password of the mount.
    pub const FIRST: Self = Self(1);
    /// That of a source that says nothing of it, and logs in with the mount's second password.
    pub const SECOND: Self = Self(2);

    /// Whether a source of this order is to be heard rather than one of another.
    pub fn is_before(self, other: Self) -> bool {
        self < other
    }

    /// Whether it is the first of all.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    pub fn is_first(&self) -> bool {
        *self == Self::FIRST
    }

    /// The user of a login, and the priority that stands behind it; `None` if none does. `=` or `-` may be in front of
    /// the number.
    pub fn split(user: &str) -> (&str, Option<Self>) {
        let Some((name, rest)) = user.rsplit_once(MARK) else {
            return (user, None);
        };
        let number = rest.strip_prefix(['=', '-']).unwrap_or(rest);
        match number.as_bytes() {
            [digit @ b'1'..=b'9'] => (name, Some(Self(digit - b'0'))),
            _ => (user, None),
        }
    }
}

impl Default for SourcePriority {
    fn default() -> Self {
        Self::FIRST
    }
}

impl From<u8> for SourcePriority {
    fn from(number: u8) -> Self {
        Self(number.clamp(1, LAST))
    }
}

impl From<SourcePriority> for u8 {
    fn from(priority: SourcePriority) -> Self {
        priority.0
    }
}

impl fmt::Display for SourcePriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_stands_behind_the_user() {
        for (user, name, priority) in [
            ("source", "source", None),
            ("source--priority=2", "source", Some(2)),
            ("dj--priority-9", "dj", Some(9)),
            ("dj--priority1", "dj", Some(1)),
            ("dj--priority=0", "dj--priority=0", None),
            ("dj--priority=10", "dj--priority=10", None),
            ("dj--priority", "dj--priority", None),
            ("--priority=3", "", Some(3)),
        ] {
            let priority = priority.map(SourcePriority);
            assert_eq!(SourcePriority::split(user), (name, priority), "{user}");
        }
    }

    #[test]
    fn a_number_of_another_version_is_brought_into_range() {
        assert_eq!(SourcePriority::from(0), SourcePriority::FIRST);
        assert_eq!(u8::from(SourcePriority::from(200)), LAST);
        assert!(SourcePriority::FIRST.is_before(SourcePriority::SECOND));
    }
}

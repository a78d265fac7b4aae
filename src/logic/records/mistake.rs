//! The error of the value of a setting.

/// The error of a value, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

impl Mistake {
    /// A mistake that these words describe.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// The same mistake with a field that may also be empty, which has this meaning.
    pub(super) fn or_empty(self, meaning: &str) -> Self {
        Self(format!("{}, or empty: {meaning}", self.0))
    }

    /// The words.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<E: std::error::Error> From<E> for Mistake {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

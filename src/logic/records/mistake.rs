//! The error of the value of a setting.

/// The error of a value, in words for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

impl Mistake {
    /// A mistake that these words describe.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
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

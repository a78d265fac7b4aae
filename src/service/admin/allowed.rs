//! The methods of a path, as answers list them.

/// The methods that a path has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Allowed(Vec<&'static str>);

impl Allowed {
    /// The given methods, by their names.
    pub(super) fn new(methods: Vec<&'static str>) -> Self {
        Self(methods)
    }

    /// All of them, as `Allow` lists them.
    pub(super) fn all(&self) -> String {
        self.0.join(", ")
    }

    /// The methods that a page of another site may use, if its request has a token: those that a form can use without
    /// asking. No other site is ever allowed to use the rest.
    pub(super) fn cross_site(&self) -> String {
        let simple = |method: &&str| matches!(*method, "GET" | "HEAD" | "POST");
        let those: Vec<&str> = self.0.iter().copied().filter(simple).collect();
        those.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_site_is_allowed_what_a_form_cannot_send() {
        let allowed = Allowed(vec!["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"]);
        assert_eq!(allowed.cross_site(), "GET, HEAD, POST");
        assert_eq!(Allowed(vec!["PATCH", "OPTIONS"]).cross_site(), "");
    }
}

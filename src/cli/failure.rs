//! The end of a command that has failed: what is said of it, and its exit code.

use crate::io::http::HttpError;

/// The command failed, and the text on stderr says why.
pub const EXIT_FAILED: u8 = 1;
/// The command line is invalid; nothing was done.
pub const EXIT_USAGE: u8 = 2;
/// The node that was asked does not answer.
pub const EXIT_UNREACHABLE: u8 = 3;

/// The reasons of an error, from the outermost to the innermost; a reason that was already named is not
/// repeated.
pub(super) fn reasons(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for reason in error.chain().map(ToString::to_string) {
        match told.as_str() {
            "" => told = reason,
            before if before.contains(&reason) => {}
            _ => told += &format!(": {reason}"),
        }
    }
    told
}

/// The exit code of an error.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    if of_http(error).is_some_and(HttpError::is_unreachable) {
        EXIT_UNREACHABLE
    } else {
        EXIT_FAILED
    }
}

/// Whether the node that was asked did not prove by HTTPS that it is the one that was named.
pub(super) fn is_untrusted(error: &anyhow::Error) -> bool {
    matches!(of_http(error), Some(HttpError::Untrusted(..)))
}

fn of_http(error: &anyhow::Error) -> Option<&HttpError> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn no_reason_is_told_twice() {
        let twice = anyhow::anyhow!("disk full").context("cannot save: disk full; free space");
        assert_eq!(reasons(&twice), "cannot save: disk full; free space");
        let once = anyhow::anyhow!("disk full").context("cannot save");
        assert_eq!(reasons(&once), "cannot save: disk full");
    }

    #[test]
    fn an_unreachable_node_has_an_exit_code_of_its_own() {
        let unreachable = HttpError::TimedOut("h:1".to_owned(), std::time::Duration::ZERO);
        let wrapped = Err::<(), _>(unreachable).context("asking").unwrap_err();
        assert_eq!(exit_code(&wrapped), EXIT_UNREACHABLE);
        let nonsense = HttpError::TooLarge("h:1".to_owned(), 1);
        assert_eq!(exit_code(&nonsense.into()), EXIT_FAILED);
        assert_eq!(exit_code(&anyhow::anyhow!("other")), EXIT_FAILED);
    }
}

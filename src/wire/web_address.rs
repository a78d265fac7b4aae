//! Whether a web address that a stranger gave may be shown as a link.

/// Whether a text is a web address, or the usual short form of one: `www.radio.example`.
///
/// Players and pages make a link of a station's address, and `javascript:` in a link is a program. Without `http://`,
/// no text that looks like a scheme is accepted: a port needs a host with a dot before it.
pub fn is_web_address(text: &str) -> bool {
    let scheme = |name: &str| {
        text.get(..name.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(name))
    };
    if text
        .chars()
        .any(|letter| letter.is_whitespace() || letter.is_control())
    {
        return false;
    }
    if scheme("http://") || scheme("https://") {
        return true;
    }
    let place = text.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    match place.split_once(':') {
        None => true,
        Some((host, port)) => {
            let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            host.contains('.') && digits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_that_is_a_program_is_no_web_address() {
        for good in [
            "http://radio.example",
            "HTTPS://radio.example/?a=b:c",
            "www.radio.example",
            "radio.example:8000/live",
            "/live",
            "",
        ] {
            assert!(is_web_address(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "JavaScript:1/alert(1)",
            " javascript:alert(1)",
            "java\tscript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "localhost:8000x",
            "http:radio",
            "http ://a",
        ] {
            assert!(!is_web_address(bad), "{bad}");
        }
    }
}

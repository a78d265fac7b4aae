//! A line of JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::model::caption::is_unseen;

/// The value as one line that can be shown on a terminal: JSON itself escapes only some of the signs that change how others
/// are read.
pub(super) fn json_line<T: Serialize>(value: &T) -> String {
    let json = serde_json::to_string(value).expect("texts and numbers are JSON");
    let is_plain = |letter: char| !letter.is_control() && !is_unseen(letter);
    if json.chars().all(is_plain) {
        return json;
    }
    let mut line = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_plain(letter) {
            line.push(letter);
            continue;
        }
        // Such letters stand in texts only.
        for unit in letter.encode_utf16(&mut [0; 2]) {
            write!(line, "\\u{unit:04x}").expect("a text takes all that is written");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let line = json_line(&"\u{7f}\u{9b}31m \u{202e}\u{e0041} \u{e9}");
        assert_eq!(line, "\"\\u007f\\u009b31m \\u202e\\udb40\\udc41 \u{e9}\"");
    }

    proptest! {
        #[test]
        fn every_text_is_one_line_and_is_read_again(text: String) {
            let line = json_line(&text);
            prop_assert!(!line.contains(char::is_control));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}

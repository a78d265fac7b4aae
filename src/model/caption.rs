//! Texts from outside the mesh, cleaned so that they can be shown: one line, without invisible characters.

/// Cleans a text to one line. A line end, a tab or a NUL becomes a blank (a carriage return and its line feed become
/// one blank); other control characters, and those of [`is_unseen`], are removed.
pub fn caption(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' if letters.peek() == Some(&'\n') => {}
            _ if parts_words(letter) => shown.push(' '),
            _ if letter.is_control() || is_unseen(letter) => {}
            _ => shown.push(letter),
        }
    }
    match shown.trim() {
        trimmed if trimmed.len() == shown.len() => shown,
        trimmed => trimmed.to_owned(),
    }
}

/// The end of a text that was cut.
pub const CUT: char = '…';

/// The beginning of a text that is to have at most so many bytes: cut behind a word, and ended by [`CUT`]. Where the last word is
/// longer than half of that, such as an address, it is cut itself.
pub fn beginning(text: &str, most_bytes: usize) -> String {
    if text.len() <= most_bytes {
        return text.to_owned();
    }
    let room = most_bytes.saturating_sub(CUT.len_utf8());
    let whole = &text[..text.floor_char_boundary(room)];
    let words = whole.rfind(' ').filter(|end| 2 * end >= room);
    let kept = words.map_or(whole, |end| &whole[..end]);
    let kept = kept.trim_end_matches([' ', ',', ';', ':']);
    format!("{kept}{CUT}")
}

fn parts_words(letter: char) -> bool {
    matches!(
        letter,
        '\0' | '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Whether a character shows nothing itself, and only changes how others are read.
///
/// These are all characters that change the direction of writing, with which a title could hide what stands beside it,
/// and those in which a text could be hidden. Characters that scripts need stay: the joiners of Persian and of emoji,
/// and their variants.
pub fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        // All of Unicode's Bidi_Control.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Blanks and hyphens of no width, and the byte order mark.
        | '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}'
        // Deprecated formats, annotation marks, tags, and code points that are not characters.
        | '\u{206a}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        | '\u{fdd0}'..='\u{fdef}' | '\u{fffe}' | '\u{ffff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_behind_a_word() {
        for (text, most_bytes, cut) in [
            ("it answers 404", 14, "it answers 404"),
            ("it answers 404", 13, "it answers…"),
            ("it answers: 404", 14, "it answers…"),
            ("see http://a.example/long", 20, "see http://a.exam…"),
            ("ärger", 5, "ä…"),
            ("", 0, ""),
        ] {
            assert_eq!(beginning(text, most_bytes), cut, "{text}");
            assert!(cut.len() <= most_bytes, "{cut}");
        }
    }

    #[test]
    fn a_caption_is_one_line() {
        for (text, shown) in [
            ("A\r\nB", "A B"),
            ("A\nB\rC\tD\0E", "A B C D E"),
            ("A\n\nB", "A  B"),
            ("A\u{2028}B\u{2029}C\u{85}D\u{b}E", "A B C D E"),
            ("\r\nA\r\n", "A"),
            ("\u{1b}[31mA\u{7}\u{9b}", "[31mA"),
            ("It's <b> \u{e9} \u{43f}", "It's <b> \u{e9} \u{43f}"),
        ] {
            assert_eq!(caption(text), shown, "{text:?}");
        }
    }

    #[test]
    fn no_character_turns_the_direction_or_hides_text() {
        assert_eq!(
            caption("a\u{202e}b\u{2067}c\u{2069}\u{200f}d\u{61c}"),
            "abcd"
        );
        assert_eq!(caption("\u{feff}a\u{200b}b\u{ad}c\u{e0041}"), "abc");
        let persian = "\u{645}\u{6cc}\u{200c}\u{62e}";
        let family = "\u{1f469}\u{200d}\u{1f467} \u{2764}\u{fe0f}";
        assert_eq!(caption(persian), persian);
        assert_eq!(caption(family), family);
    }

    proptest! {
        #[test]
        fn every_text_becomes_one_clean_line_and_stays_it(text: String) {
            let shown = caption(&text);
            let bad = |letter: char| letter.is_control() || is_unseen(letter) || parts_words(letter);
            prop_assert!(!shown.contains(bad));
            prop_assert_eq!(caption(&shown), shown);
        }
    }
}

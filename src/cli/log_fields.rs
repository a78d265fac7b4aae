//! How the fields of a log line are written: short, on one line, and without anything that looks like another line.
//!
//! Strangers choose paths, users, titles and headers of up to 60 kB. All fields that may be theirs share a few bytes,
//! so that no line holds more of them than [`SPAN_BYTES`] and [`EVENT_BYTES`] together; the fields of [`OWN`] are
//! written by antiphon.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

/// The most bytes for the values of a span; one span of a line has texts of strangers.
const SPAN_BYTES: usize = 96;
/// The most bytes for the values of an event; 256 with those of its span.
const EVENT_BYTES: usize = 160;
/// The length of an event's text when it is antiphon's own; a longer one may quote a stranger, and counts whole.
const MESSAGE_BYTES: usize = 64;
/// The most bytes for a value of antiphon's own: an error that quotes a path and another error.
const OWN_BYTES: usize = 1_024;
/// Fields that antiphon writes itself: addresses, names of nodes, reasons. A field that may hold a stranger's text must
/// not have one of these names.
const OWN: [&str; 11] = [
    "address", "client", "error", "from", "join", "mesh", "name", "peer", "refusal", "url", "why",
];
/// The field in which tracing keeps an event's text.
const MESSAGE: &str = "message";

/// Writes fields as ` name=value`, bounded and escaped.
#[derive(Debug, Default)]
pub(super) struct BoundedFields;

impl<'w> FormatFields<'w> for BoundedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut visitor = FieldVisitor {
            writer,
            room: SPAN_BYTES,
            is_first: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct FieldVisitor<'w> {
    writer: Writer<'w>,
    /// How many bytes are left for texts that may be a stranger's.
    room: usize,
    is_first: bool,
    result: fmt::Result,
}

impl FieldVisitor<'_> {
    fn write(&mut self, name: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if !self.is_first {
            self.writer.write_char(' ')?;
        }
        self.is_first = false;
        let is_own = OWN.contains(&name);
        let room = match name {
            MESSAGE => EVENT_BYTES,
            _ if is_own => OWN_BYTES,
            _ => self.room,
        };
        if name != MESSAGE {
            write!(self.writer, "{name}=")?;
        }
        let mut line = BoundedLine {
            writer: &mut self.writer,
            room,
            is_cut: false,
        };
        line.write_fmt(value)?;
        self.room = match name {
            MESSAGE if EVENT_BYTES - line.room <= MESSAGE_BYTES => EVENT_BYTES,
            _ if is_own => self.room,
            _ => line.room,
        };
        Ok(())
    }
}

impl Visit for FieldVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.result.is_ok() {
            let name = field.name();
            let name = name.strip_prefix("r#").unwrap_or(name);
            self.result = self.write(name, format_args!("{value:?}"));
        }
    }
}

/// Passes on what fits, with control characters escaped; the first character that does not fit becomes `…`.
struct BoundedLine<'a, 'w> {
    writer: &'a mut Writer<'w>,
    room: usize,
    is_cut: bool,
}

impl Write for BoundedLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if self.is_cut {
                return Ok(());
            }
            let escaped = is_unsafe(letter).then(|| letter.escape_unicode());
            let bytes = escaped
                .as_ref()
                .map_or(letter.len_utf8(), ExactSizeIterator::len);
            let Some(room) = self.room.checked_sub(bytes) else {
                self.is_cut = true;
                self.room = 0;
                return self.writer.write_char('…');
            };
            self.room = room;
            match escaped {
                Some(escaped) => write!(self.writer, "{escaped}")?,
                None => self.writer.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// Whether a character ends lines, moves the cursor or turns the direction of the text.
fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span};

    use super::*;

    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(events: impl FnOnce()) -> String {
        let buffer = LogBuffer::default();
        let writer = buffer.clone();
        let lines = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .fmt_fields(BoundedFields)
            .with_ansi(false)
            .with_target(false)
            .without_time();
        tracing::subscriber::with_default(lines.finish(), events);
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn short_fields_are_written_as_ever() {
        let line = written(|| {
            let span = info_span!("source", peer = %"192.0.2.1:9", path = "/a.mp3");
            span.in_scope(|| info!(agent = "butt \"1\"", bytes = 7, "on air"));
        });
        assert_eq!(
            line,
            " INFO source{peer=192.0.2.1:9 path=\"/a.mp3\"}: on air agent=\"butt \\\"1\\\"\" bytes=7\n"
        );
    }

    #[test]
    fn no_line_holds_more_than_256_bytes_of_a_stranger() {
        let lines = written(|| {
            let long = "A".repeat(60_000);
            let span = info_span!("source", path = long);
            span.in_scope(|| info!(content_type = long, "refused: {long}"));
            span.in_scope(|| {
                info!(agent = long, content_type = %long, other = ?Some(&long), "on air");
            });
        });
        for line in lines.lines() {
            let of_stranger = line.matches('A').count();
            assert!((200..=256).contains(&of_stranger), "{of_stranger}");
            assert!(line.matches('…').count() >= 2 && line.len() < 450, "{line}");
        }
    }

    #[test]
    fn a_strangers_text_makes_no_line_of_its_own() {
        let evil = "a\r\nb\u{1b}[31mc\u{202e}d\u{2028}e\0\u{85}";
        let line = written(|| info!(agent = evil, title = %evil, error = %evil, "{evil}"));
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(
            !line.trim_end_matches('\n').chars().any(is_unsafe),
            "{line:?}"
        );
        assert!(
            line.contains("\\u{d}\\u{a}b\\u{1b}[31mc\\u{202e}d"),
            "{line:?}"
        );
    }
}

//! The commands in a page: what stands in its blocks of shell, and between backticks in its text.

use std::iter;

/// A block between two fences.
#[derive(Debug)]
pub(crate) struct Block {
    /// The word behind the first fence, such as `sh`.
    pub(crate) kind: String,
    /// The line of the first fence, from 1.
    pub(crate) line: usize,
    /// The lines between the fences.
    pub(crate) text: String,
}

/// The blocks of a page, and the page without them.
pub(crate) fn take_apart(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut rest): (Vec<Block>, String) = (Vec::new(), String::new());
    let mut inside = false;
    for (line, text) in (1..).zip(page.lines()) {
        match (text.strip_prefix("```"), inside) {
            (Some(kind), false) => {
                inside = true;
                blocks.push(Block {
                    kind: kind.trim().to_owned(),
                    line,
                    text: String::new(),
                });
            }
            (Some(_), true) => inside = false,
            (None, true) => {
                let block = blocks.last_mut().expect("one has begun");
                block.text += text;
                block.text.push('\n');
            }
            (None, false) => {
                rest += text;
                rest.push('\n');
            }
        }
    }
    assert!(!inside, "a block does not end");
    (blocks, rest)
}

/// The texts between backticks.
pub(crate) fn spans(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// The commands of a block of shell, each as its words; those behind a pipe stay with the first.
pub(crate) fn commands(block: &str) -> Vec<Vec<String>> {
    let joined = block.replace("\\\n", " ");
    let lines = joined.lines().flat_map(|line| {
        let words = words(line);
        let parts = words.split(|word| word == "&&");
        parts.map(<[String]>::to_vec).collect::<Vec<_>>()
    });
    lines.filter(|words| !words.is_empty()).collect()
}

/// The words of a line as a shell sees them, without its comment.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    for letter in line.chars().chain(iter::once(' ')) {
        match (quote, letter) {
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (Some(open), letter) if open == letter => quote = None,
            (None, '#') if word.is_none() => break,
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    assert_eq!(quote, None, "a quote does not end: {line}");
    words.extend(word);
    words
}

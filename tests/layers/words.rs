//! Rust code as a list of words: no comments, no strings, no tests.

/// Whether the code says a word, or a path such as `rand::rng` also within `rand::{…}`.
pub(super) fn mentions(code: &str, word: &str) -> bool {
    match word.rsplit_once("::") {
        Some((head, last)) => followers(code, head).iter().any(|name| name == last),
        None => !places_of(code, word).is_empty(),
    }
}

/// The names that follow `head::`, those at the first level of a `{…}` included.
pub(super) fn followers(code: &str, head: &str) -> Vec<String> {
    let after = |at: usize| code[at + head.len()..].strip_prefix("::");
    let tails = places_of(code, head).into_iter().filter_map(after);
    tails.flat_map(first_names).collect()
}

fn first_names(tail: &str) -> Vec<String> {
    let Some(group) = tail.strip_prefix('{') else {
        return vec![name_at(tail)];
    };
    let (mut names, mut nesting, mut fresh) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => nesting += 1,
            '}' if nesting == 0 => break,
            '}' => nesting -= 1,
            ',' if nesting == 0 => fresh = true,
            c if fresh && is_name(c) => {
                names.push(name_at(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

fn name_at(text: &str) -> String {
    text.chars().take_while(|c| is_name(*c)).collect()
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The offsets at which a word begins that is not a part of a longer one.
fn places_of(code: &str, word: &str) -> Vec<usize> {
    let whole = |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_name) && !after.is_some_and(is_name)
    };
    let found = code.match_indices(word).map(|(at, _)| at);
    found.filter(whole).collect()
}

/// The code without each item that stands under `#[cfg(test)]`.
pub(super) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let Some(start) = code.find(MARK) else {
        return code.to_owned();
    };
    let item = &code[start + MARK.len()..];
    let mut nesting = 0_usize;
    let mut end = item.len();
    for (at, c) in item.char_indices() {
        match c {
            '{' => nesting += 1,
            '}' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if nesting == 0 && matches!(c, '}' | ';') {
            end = at + 1;
            break;
        }
    }
    format!("{}{}", &code[..start], without_tests(&item[end..]))
}

/// The code alone: comments gone, strings and characters empty.
pub(super) fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = skipped_length(rest);
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.push(' ');
            rest = &rest[skipped..];
        }
    }
    code
}

/// How many bytes of comment, string or character begin here; 0 where code does.
fn skipped_length(rest: &str) -> usize {
    let up_to = |end: &str, from: usize| {
        let found = rest[from..].find(end);
        found.map_or(rest.len(), |at| from + at + end.len())
    };
    let raw = rest.strip_prefix('r').unwrap_or_default();
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        up_to("*/", 2)
    } else if raw[hashes..].starts_with('"') {
        up_to(&format!("\"{}", "#".repeat(hashes)), hashes + 2)
    } else if rest.starts_with('"') {
        quoted_length(rest, '"')
    } else if is_character(rest) {
        quoted_length(rest, '\'')
    } else {
        0
    }
}

/// Tells `'a'` and `'\n'` from a lifetime, which has no closing quote.
fn is_character(rest: &str) -> bool {
    rest.starts_with("'\\") || (rest.starts_with('\'') && rest.chars().nth(2) == Some('\''))
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A piece of code that matters to who looks for paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// A name or a keyword.
    Name(&'a str),
    /// `::`
    Colons,
    /// Any other character that is no blank.
    Mark(char),
}

/// The code without comments and strings, word by word.
pub(super) fn words(code: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let name = rest.len() - rest.trim_start_matches(is_name).len();
        let (word, length) = if name > 0 {
            (Word::Name(&rest[..name]), name)
        } else if rest.starts_with("::") {
            (Word::Colons, 2)
        } else {
            (Word::Mark(first), first.len_utf8())
        };
        found.push(word);
        rest = rest[length..].trim_start();
    }
    found
}

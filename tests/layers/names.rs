//! The rules of names: each argument of a function has one, and two layers do not share one for two types.
//!
//! A tuple as a parameter hides what the function needs behind the order of its parts: what travels together is a type.
//! A type name that two layers share makes a reader look up which of the two is meant.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Word, words};

/// The words that a type's name follows.
const KINDS: [&str; 5] = ["struct", "enum", "union", "trait", "type"];

/// The associated types of the standard library's and Tokio's traits: each of their users has to call them so.
const ASSOCIATED: [&str; 7] = [
    "Err", "Error", "Future", "IntoIter", "Item", "Output", "Target",
];

/// How many of a hundred type names may be shared by two layers: some words of the field have two meanings.
const MOST_SHARED_PERCENT: usize = 3;

/// The functions that take a tuple or another pattern with parts as a parameter.
fn patterns_as_parameters(code: &str) -> Vec<String> {
    let words = words(code);
    let mut found = Vec::new();
    for (at, pair) in words.windows(2).enumerate() {
        if let [Word::Name("fn"), Word::Name(name)] = pair
            && has_pattern(parameters(&words[at + 2..]))
        {
            found.push((*name).to_owned());
        }
    }
    found
}

/// The words from a function's first parameter on, given those after its name.
fn parameters<'a, 'b>(words: &'b [Word<'a>]) -> &'b [Word<'a>] {
    let (mut angles, mut before) = (0_usize, None);
    for (at, word) in words.iter().enumerate() {
        match word {
            Word::Mark('<') => angles += 1,
            Word::Mark('>') if before != Some(Word::Mark('-')) => angles = angles.saturating_sub(1),
            Word::Mark('(') if angles == 0 => return &words[at + 1..],
            _ => {}
        }
        before = Some(*word);
    }
    &[]
}

/// Whether a parenthesis stands before the colon of a parameter.
fn has_pattern(parameters: &[Word<'_>]) -> bool {
    let (mut nesting, mut parenthesis, mut in_type) = (0_usize, false, false);
    for word in parameters {
        match word {
            Word::Mark(')') if nesting == 0 => break,
            Word::Mark(',') if nesting == 0 => (parenthesis, in_type) = (false, false),
            Word::Mark(':') if nesting == 0 && parenthesis && !in_type => return true,
            Word::Mark(':') if nesting == 0 => in_type = true,
            Word::Mark('(') => {
                nesting += 1;
                parenthesis = true;
            }
            Word::Mark('[' | '{') => nesting += 1,
            Word::Mark(')' | ']' | '}') => nesting = nesting.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The names of the types, by the layers that define one of that name.
fn type_names(shipped: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, code) in shipped {
        let Some(place) = path.strip_prefix("src/") else {
            continue;
        };
        for pair in words(code).windows(2) {
            if let [Word::Name(kind), Word::Name(name)] = pair
                && KINDS.contains(kind)
                && !ASSOCIATED.contains(name)
            {
                let layers = names.entry((*name).to_owned()).or_default();
                layers.insert(super::top(place).to_owned());
            }
        }
    }
    names
}

/// The names that two layers share, with their layers, where they are too many.
fn shared_too_often(names: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let shared = names.iter().filter(|(_, layers)| layers.len() > 1);
    let said: Vec<String> = shared
        .map(|(name, layers)| format!("{name}: {layers:?}"))
        .collect();
    match said.len() * 100 > names.len() * MOST_SHARED_PERCENT {
        true => said,
        false => Vec::new(),
    }
}

#[test]
fn no_function_takes_a_tuple_apart_in_its_parameters() {
    let mut found = Vec::new();
    for (path, text) in super::house() {
        if path.starts_with("src/") || path.starts_with("tests/") {
            let names = patterns_as_parameters(&super::without_comments_and_strings(&text));
            found.extend(names.iter().map(|name| format!("{path}: {name}")));
        }
    }
    assert!(
        found.is_empty(),
        "a pattern as a parameter; name each argument: {found:#?}"
    );
}

#[test]
fn few_type_names_are_shared_by_two_layers() {
    let names = type_names(&super::shipped(&super::house()));
    assert!(names.len() > 300, "only {} types were found", names.len());
    let found = shared_too_often(&names);
    assert!(
        found.is_empty(),
        "rename one of each: {} of {} type names are shared by two layers, at most {MOST_SHARED_PERCENT} % may be: \
         {found:#?}",
        found.len(),
        names.len()
    );
}

#[test]
fn planted_patterns_as_parameters_are_caught() {
    let planted = [
        "fn f((a, b): (u8, u8)) {}",
        "impl A { pub async fn f<F: Fn(u8) -> u8>(&self, g: F, (a, b): (u8, u8)) {} }",
        "fn f(a: u8, &(b, c): &(u8, u8)) {}",
        "fn f(Some(a): Option<u8>) {}",
        "fn f(\n    a: BTreeMap<u8, (u8, u8)>,\n    mut B(c): B,\n) {}",
    ];
    for code in planted {
        assert_eq!(patterns_as_parameters(code), ["f"], "{code}");
    }
    let honest = [
        "fn f(a: (u8, u8), b: BTreeMap<u8, (u8, u8)>, c: u8) {}",
        "fn f() { g(|(a, b): (u8, u8)| a, (1, 2)) }",
        "fn f<F>(g: F, h: fn(u8) -> u8) where F: Fn((u8, u8)) -> u8 {}",
        "fn f(&self, a: impl Fn((u8, u8), u8), b: [u8; size(3)]) {}",
    ];
    for code in honest {
        assert!(patterns_as_parameters(code).is_empty(), "{code}");
    }
}

#[test]
fn planted_shared_type_names_are_caught() {
    let house = |different: usize| -> BTreeMap<String, String> {
        let many = (0..different).map(|number| format!("struct A{number};"));
        let proto = format!(
            "pub enum Answer {{}} type Error = u8; {}",
            many.collect::<String>()
        );
        let planted = [
            ("src/io/a.rs", "struct Answer; type Error = u8;".to_owned()),
            (
                "src/io/b.rs",
                "trait Twice {} mod c { struct Twice; }".to_owned(),
            ),
            ("src/proto/mod.rs", proto),
            ("simulations/src/a.rs", "struct A0;".to_owned()),
        ];
        planted.map(|(path, code)| (path.to_owned(), code)).into()
    };
    let few = shared_too_often(&type_names(&house(10)));
    assert_eq!(few.len(), 1, "{few:?}");
    assert!(few[0].starts_with("Answer: "), "{few:?}");
    assert!(shared_too_often(&type_names(&house(100))).is_empty());
}

//! Circles of files: which file names which, and whether a walk along these names comes back to where it began.
//!
//! A part may name its whole: an arrow from a file to the `mod.rs` of a folder that it lies in does not count,
//! because `super::Thing` is how a child speaks of its parent. Every other arrow counts, also the one to a file
//! that only hands a name on.

use std::collections::{BTreeMap, BTreeSet};

use super::words::{Word, words};

/// The folders whose `lib.rs` or `main.rs` is a crate's root: `crate::` means the deepest that holds the file.
const CRATES: [&str; 3] = ["src", "simulations/src", "simulations/src/flash_crowd"];

/// How often a name may be handed on before the search gives up: more than any sane file does.
const MAX_HANDED_ON: usize = 8;

/// A module or a name in it, as the folders and files that lead there.
type Path = Vec<String>;

/// Each circle as the files in it; `files` holds their paths and their code without comments, strings and tests.
pub(super) fn circles(files: &BTreeMap<String, String>) -> BTreeSet<Vec<String>> {
    let house = House::new(files);
    let mut arrows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files.keys() {
        arrows.insert(file, house.arrows_from(file));
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = arrows
        .keys()
        .map(|file| (*file, reach(file, &arrows)))
        .collect();
    let on_a_circle = reached.iter().filter(|(file, far)| far.contains(*file));
    let whole = on_a_circle.map(|(file, far)| {
        let others = far.iter().filter(|other| reached[*other].contains(file));
        others.map(|other| (*other).to_owned()).collect()
    });
    whole.collect()
}

/// Every file to which the arrows lead from one, over others too.
fn reach<'a>(from: &str, arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = arrows[from].iter().copied().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(&arrows[file]);
        }
    }
    reached
}

/// The files by the module that each is, and what they say of one another.
struct House<'a> {
    modules: BTreeMap<Path, &'a str>,
    code: BTreeMap<&'a str, Names>,
}

/// The paths that a file says, and those that it hands on: the name under which it does, and the path.
#[derive(Default)]
struct Names {
    said: Vec<Path>,
    handed_on: BTreeMap<String, Path>,
}

impl<'a> House<'a> {
    fn new(files: &'a BTreeMap<String, String>) -> Self {
        let mut modules = BTreeMap::new();
        for file in files.keys() {
            // The library before the program beside it, which nobody can name.
            if !file.ends_with("/main.rs") || !modules.contains_key(&module(file)) {
                modules.insert(module(file), file.as_str());
            }
        }
        let names = |(file, code): (&'a String, &String)| (file.as_str(), Names::of(code));
        Self {
            modules,
            code: files.iter().map(names).collect(),
        }
    }

    /// The files that one names, its own wholes left out.
    fn arrows_from(&self, file: &str) -> BTreeSet<&'a str> {
        let own = module(file);
        let mut found = BTreeSet::new();
        for path in &self.code[file].said {
            self.follow(&own, path, MAX_HANDED_ON, &mut found);
        }
        found.retain(|other| !own.starts_with(&module(other)));
        found
    }

    /// Notes the files through which a path leads that is said in a module.
    fn follow(&self, own: &Path, path: &[String], patience: usize, found: &mut BTreeSet<&'a str>) {
        let Some((module, rest)) = self.enter(own, path) else {
            return;
        };
        let Some(file) = self.modules.get(&module) else {
            return;
        };
        found.insert(file);
        let handed_on = rest
            .first()
            .and_then(|name| self.code[file].handed_on.get(name));
        if let Some(further) = handed_on.filter(|_| patience > 0) {
            self.follow(&module, further, patience - 1, found);
        }
    }

    /// The deepest module to which a path leads, and what is left of the path there.
    fn enter<'p>(&self, own: &Path, path: &'p [String]) -> Option<(Path, &'p [String])> {
        let (first, mut rest) = path.split_first()?;
        let mut module = match first.as_str() {
            "crate" => crate_of(own),
            "antiphon" => crate_of(&vec!["src".to_owned()]),
            "self" => own.clone(),
            "super" => own.split_last()?.1.to_vec(),
            child => {
                let mut module = own.clone();
                module.push(child.to_owned());
                self.modules.contains_key(&module).then_some(module)?
            }
        };
        while let Some((name, beyond)) = rest.split_first() {
            match name.as_str() {
                "super" => {
                    module.pop();
                }
                name => {
                    module.push(name.to_owned());
                    if !self.modules.contains_key(&module) {
                        module.pop();
                        break;
                    }
                }
            }
            rest = beyond;
        }
        Some((module, rest))
    }
}

impl Names {
    fn of(code: &str) -> Self {
        let mut names = Self::default();
        let mut open = words(code).into_iter().peekable();
        let mut public = false;
        let mut plain: BTreeSet<&str> = BTreeSet::new();
        let mut faces = Vec::new();
        while let Some(word) = open.next() {
            match word {
                Word::Name("pub") => public = true,
                Word::Name("use") => {
                    let tree: Vec<Word> = open
                        .by_ref()
                        .take_while(|it| *it != Word::Mark(';'))
                        .collect();
                    let paths = paths_of(&tree);
                    match public {
                        true => faces.extend(paths),
                        false => names.said.extend(paths.into_iter().map(|(_, path)| path)),
                    }
                    public = false;
                }
                Word::Name(first) => {
                    public &= ["crate", "super", "in"].contains(&first);
                    plain.insert(first);
                    let mut path = vec![first.to_owned()];
                    while open.next_if_eq(&Word::Colons).is_some() {
                        if let Some(Word::Name(name)) =
                            open.next_if(|it| matches!(it, Word::Name(_)))
                        {
                            path.push(name.to_owned());
                        }
                    }
                    if path.len() > 1 {
                        names.said.push(path);
                    }
                }
                Word::Mark('(' | ')') => {}
                Word::Mark(_) | Word::Colons => public = false,
            }
        }
        for (name, path) in faces {
            if plain.contains(name.as_str()) {
                names.said.push(path.clone());
            }
            names.handed_on.insert(name, path);
        }
        names
    }
}

/// The paths of a `use`, each with the name under which it is known afterwards.
fn paths_of(tree: &[Word<'_>]) -> Vec<(String, Path)> {
    let (mut found, mut outer, mut path) = (Vec::new(), Vec::new(), Path::new());
    let (mut renamed, mut after_as) = (None, false);
    let mut end = |path: &Path, renamed: &mut Option<String>| {
        let mut path = path.clone();
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        if let Some(last) = path.last().cloned() {
            found.push((renamed.take().unwrap_or(last), path));
        }
    };
    let mut fresh = false;
    for word in tree {
        match word {
            Word::Name("as") => after_as = true,
            Word::Name(name) if after_as => {
                renamed = Some((*name).to_owned());
                after_as = false;
            }
            Word::Name(name) => {
                path.push((*name).to_owned());
                fresh = true;
            }
            Word::Mark('{') => {
                outer.push(path.len());
                fresh = false;
            }
            Word::Mark(mark @ (',' | '}')) => {
                if fresh {
                    end(&path, &mut renamed);
                    fresh = false;
                }
                path.truncate(outer.last().copied().unwrap_or_default());
                if *mark == '}' {
                    outer.pop();
                }
            }
            Word::Mark(_) | Word::Colons => {}
        }
    }
    if fresh {
        end(&path, &mut renamed);
    }
    found
}

/// The module that a file is: `src/io/link/mod.rs` is `src`, `io`, `link`.
fn module(file: &str) -> Path {
    let mut names: Path = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    names.pop_if(|last| ["mod", "lib", "main"].contains(&last.as_str()));
    names
}

/// The root of the crate in which a module lies.
fn crate_of(module: &Path) -> Path {
    let roots = CRATES.map(self::module);
    let around = roots.into_iter().filter(|root| module.starts_with(root));
    around.max_by_key(Vec::len).unwrap_or_default()
}

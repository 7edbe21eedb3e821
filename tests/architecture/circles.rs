//! Files of a room that import each other in a circle can only be read together. Two may; more may not.
//!
//! An edge is a `use`, or a path with `crate::`, `super::` or `self::`, from one file to another of the same room. An import through a
//! re-export leads to the file that defines the item; the re-export itself is no edge, and tests are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The rooms without a circle of more than two files.
const ROOMS: [&str; 4] = ["cold", "engine", "session", "sql"];

type Module = Vec<String>;

#[test]
fn no_circle_of_files_is_larger_than_two() {
    let mut found = Vec::new();
    for room in ROOMS {
        let modules = Modules::of(Path::new("src"), room);
        assert!(modules.texts.len() > 5, "src/{room} has only {:?}", modules.texts.keys());
        found
            .extend(modules.circles().into_iter().filter(|circle| circle.len() > 2).map(|circle| format!("{room}: {}", circle.join(", "))));
    }
    assert!(found.is_empty(), "files that import each other in a circle:\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_through_re_exports_and_paths_and_not_through_tests() {
    let modules = |files: [(&str, &str); 4]| {
        let texts = files.map(|(name, text)| (name.split("::").map(String::from).collect::<Module>(), text.to_owned()));
        Modules { room: "r".into(), texts: texts.into() }.circles()
    };
    let circle = modules([
        ("r", "mod a;\nmod b;\nmod c;\npub use a::A;"),
        ("r::a", "use super::b::{self, B};"),
        ("r::b", "fn f() { super::c::g() }"),
        ("r::c", "use crate::r::A;"),
    ]);
    assert_eq!(circle, [["a", "b", "c"]]);
    let none = modules([
        ("r", "pub use a::A;"),
        ("r::a", "use super::b::B; // use super::c;"),
        ("r::b", "use std::fs;"),
        ("r::c", "use crate::r::A;\n#[cfg(test)]\nmod tests {\n    use super::super::b;\n}"),
    ]);
    assert_eq!(none, [[""; 0]; 0]);
}

struct Modules {
    room: String,
    /// The text of each module, without comments and tests, by its path: `session::show::grid`.
    texts: BTreeMap<Module, String>,
}

impl Modules {
    fn of(root: &Path, room: &str) -> Modules {
        let mut texts = BTreeMap::new();
        for path in super::sources(&root.join(room)) {
            let mut module: Module = path
                .strip_prefix(root)
                .expect("a source of the room")
                .with_extension("")
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            let is_test = module.iter().any(|part| part.contains("test"));
            if !is_test {
                texts.insert(module, fs::read_to_string(&path).expect("a source is readable"));
            }
        }
        Modules { room: room.to_owned(), texts }
    }

    /// The modules that reach each other, as names within the room.
    fn circles(&self) -> Vec<Vec<String>> {
        let edges: BTreeMap<&Module, BTreeSet<Module>> = self.texts.keys().map(|module| (module, self.edges(module))).collect();
        let reach: BTreeMap<&Module, BTreeSet<&Module>> = edges.keys().map(|module| (*module, reached(&edges, module))).collect();
        let mut circles = BTreeSet::new();
        for (module, others) in &reach {
            let circle: Vec<&Module> = others.iter().copied().filter(|other| reach[other].contains(module)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().map(|circle| circle.into_iter().map(|module| module[1..].join("::")).collect()).collect()
    }

    fn edges(&self, module: &Module) -> BTreeSet<Module> {
        let text = plain(&self.texts[module]);
        let mut edges = BTreeSet::new();
        for (public, tree) in imports(&text) {
            if !public {
                edges.extend(paths_of(tree).iter().filter_map(|path| self.target(module, path)));
            }
        }
        let code = without_imports(&text);
        for start in ["crate::", "super::", "self::"] {
            for (at, _) in code.match_indices(start) {
                if code[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ':')) {
                    continue;
                }
                let end = code[at..].find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':'))).map_or(code.len(), |end| at + end);
                edges.extend(self.target(module, &segments(code[at..end].trim_end_matches(':'))));
            }
        }
        edges.remove(module);
        edges
    }

    /// The file in which what a path names is defined, if it is one of the room's.
    fn target(&self, from: &Module, path: &[String]) -> Option<Module> {
        let mut path = self.absolute(from, path)?;
        // A re-export may lead to another one.
        for _ in 0..5 {
            let module = self.module_of(&path)?;
            let Some(item) = path.get(module.len()) else { return Some(module) };
            let text = plain(&self.texts[&module]);
            let exported = imports(&text).into_iter().filter(|(public, _)| *public).flat_map(|(_, tree)| paths_of(tree));
            match exported.filter(|export| export.last() == Some(item)).find_map(|export| self.absolute(&module, &export)) {
                Some(next) if next != path => path = next,
                _ => return Some(module),
            }
        }
        self.module_of(&path)
    }

    fn absolute(&self, from: &Module, path: &[String]) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut base = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => from[..from.len() - 1].to_vec(),
            _ => {
                let child = [from.as_slice(), std::slice::from_ref(first)].concat();
                return self.texts.contains_key(&child).then(|| [from.as_slice(), path].concat());
            }
        };
        while let Some((next, after)) = rest.split_first().filter(|(next, _)| *next == "super") {
            debug_assert_eq!(next, "super");
            base.pop();
            rest = after;
        }
        Some([base, rest.to_vec()].concat()).filter(|path| path.first() == Some(&self.room))
    }

    fn module_of(&self, path: &[String]) -> Option<Module> {
        (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|prefix| self.texts.contains_key(prefix))
    }
}

fn reached<'a>(edges: &'a BTreeMap<&Module, BTreeSet<Module>>, from: &'a Module) -> BTreeSet<&'a Module> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in edges.get(module).into_iter().flatten() {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    seen
}

/// The code without comments and without the tests at its end.
fn plain(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The trees of all `use`; whether each is a re-export.
fn imports(code: &str) -> Vec<(bool, &str)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim_start();
        if (line.is_empty() || line.starts_with("pub"))
            && let Some(end) = code[at..].find(';')
        {
            found.push((line.starts_with("pub"), &code[at + 4..at + end]));
        }
    }
    found
}

fn without_imports(code: &str) -> String {
    imports(code).into_iter().fold(code.to_owned(), |code, (_, tree)| code.replacen(&format!("use {tree};"), "", 1))
}

/// The paths of a tree: `a::{b, c::{self, d}}` has three.
fn paths_of(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((before, inner)) = tree.split_once('{') else {
        return vec![segments(tree.split(" as ").next().unwrap_or_default())];
    };
    let prefix = segments(before.trim().trim_end_matches("::"));
    let inner = inner.trim().strip_suffix('}').unwrap_or(inner);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inner.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match (c, depth) {
            (',', 0) => parts.push(String::new()),
            _ => parts.last_mut().expect("there is always one").push(c),
        }
    }
    let nested = parts.iter().filter(|part| !part.trim().is_empty()).flat_map(|part| paths_of(part));
    nested.map(|path| prefix.iter().cloned().chain(path.into_iter().filter(|part| part != "self")).collect()).collect()
}

fn segments(path: &str) -> Vec<String> {
    path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

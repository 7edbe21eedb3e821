//! A room (a module of src/lib.rs) uses only rooms below it, in the order of the list in src/lib.rs; docs/architecture.md has the
//! same rooms. Every task that is started has an owner.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "architecture/circles.rs"]
mod circles;

#[test]
fn no_room_reaches_up() {
    let floors = floors();
    assert!(floors.len() > 10, "src/lib.rs lists only {floors:?}");
    let mut found = Vec::new();
    for path in sources(Path::new("src")) {
        let Some(own) = room(&path).and_then(|room| floor(&floors, &room)) else { continue };
        let text = fs::read_to_string(&path).expect("a source is readable");
        for (line, name) in used(&text) {
            if floor(&floors, &name).is_some_and(|other| other < own) {
                found.push(format!("{}:{line}: {} uses {name}, which is above it", path.display(), floors[own].join(" and ")));
            }
        }
    }
    assert!(found.is_empty(), "rooms reach up:\n{}", found.join("\n"));
}

/// The files that may start a task or a thread themselves, each with the owner that ends it. All other code starts named tasks:
/// `node.tasks.spawn("name", ..)`.
const OWNERS: &[(&str, &str)] = &[
    ("src/cli/demo/wires.rs", "the connection of the tour's PostgreSQL client: Wires::close joins it"),
    ("src/gms/mod.rs", "the clock's keeper: Gms::close aborts and joins it"),
    ("src/gms/state.rs", "changes of the metadata: Gms::close joins them"),
    ("src/node/tasks.rs", "all background tasks: Node::close joins them"),
    ("src/server/accept.rs", "connections: Server::stop joins them"),
    ("src/server/mod.rs", "the loops of listeners and HTTP: Server::stop joins them"),
    ("src/server/relay_threads.rs", "the relay threads: they end when their owner is dropped, after the last connection"),
    ("src/store/durable.rs", "a blocking write: the caller awaits it"),
    ("src/wire/local_runtime.rs", "a local statement: aborted when the connection that awaits it is dropped"),
    ("src/wire/mysql/login.rs", "a password check that computes: the login awaits it"),
];

#[test]
fn every_task_that_is_started_has_an_owner() {
    let mut found = BTreeSet::new();
    for path in sources(Path::new("src")).iter().filter(|path| !path.iter().any(|part| part.to_string_lossy().contains("test"))) {
        if starts_tasks(&fs::read_to_string(path).expect("a source is readable")) {
            found.insert(path.to_string_lossy().into_owned());
        }
    }
    let listed: BTreeSet<String> = OWNERS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(found, listed, "files that start tasks, and the list of owners in this test");
}

#[test]
fn a_task_without_a_name_is_seen_however_it_is_started() {
    for text in
        ["tokio::spawn(work);", "runtime.spawn(work)", "spawn_blocking(work)", "set.spawn_on(work, &handle)", "thread::spawn(|| ())"]
    {
        assert!(starts_tasks(text), "{text}");
    }
    let tests = "fn f() {}\n#[cfg(test)]\nmod tests {\n    tokio::spawn(work);\n}";
    for text in ["node.tasks.spawn(\"rollback\", work);", "// tokio::spawn(work)", "fn spawn(work: F) {}", tests] {
        assert!(!starts_tasks(text), "{text}");
    }
}

/// Does this source start tasks or threads, other than named ones, outside of its tests?
fn starts_tasks(text: &str) -> bool {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).any(|line| {
        ["spawn(", "spawn_on(", "spawn_blocking("].iter().any(|call| {
            line.match_indices(call).any(|(at, _)| {
                let (before, after) = (&line[..at], &line[at + call.len()..]);
                let named = before.ends_with("tasks.") && after.starts_with('"');
                !named && !before.ends_with("fn ")
            })
        })
    })
}

#[test]
fn every_crash_point_that_is_listed_stands_in_the_code() {
    let list = fs::read_to_string("src/fault.rs").expect("src/fault.rs is readable");
    let listed = list.split("pub const ALL").nth(1).and_then(|rest| rest.split("];").next()).expect("src/fault.rs has a list ALL");
    let names: Vec<&str> = listed.lines().filter_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\",")).collect();
    assert!(names.len() > 40, "src/fault.rs lists only {names:?}");
    let code = sources(Path::new("src")).into_iter().filter(|path| !path.ends_with("fault.rs"));
    let code: String = code.map(|path| fs::read_to_string(path).expect("a source is readable")).collect();
    let missing: Vec<_> = names.iter().filter(|name| !code.contains(&format!("\"{name}\""))).collect();
    assert!(missing.is_empty(), "crash points that no code reaches: {missing:?}");
}

#[test]
fn every_room_is_listed_in_the_code_and_in_the_docs() {
    let listed: BTreeSet<String> = floors().into_iter().flatten().collect();
    let modules: BTreeSet<String> =
        lib().lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).map(String::from).collect();
    assert_eq!(modules, listed, "the modules of src/lib.rs, and the rooms of its list");
    let docs = fs::read_to_string("docs/architecture.md").expect("docs/architecture.md is readable");
    let rows = docs.split("## Rooms").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("docs/architecture.md has a part `Rooms`");
    let first_cells = rows.lines().filter_map(|row| row.strip_prefix("| ")?.split('|').next()).flat_map(quoted);
    assert_eq!(first_cells.collect::<BTreeSet<_>>(), listed, "the rooms of docs/architecture.md, and of src/lib.rs");
}

#[test]
fn a_reach_is_seen_however_it_is_written() {
    let names = |text| used(text).into_iter().map(|(line, name)| format!("{line} {name}")).collect::<Vec<_>>();
    assert_eq!(names("\nuse crate::session::Session;"), ["2 session"]);
    assert_eq!(names("crate::wire::mysql::serve(crate::error::Kind::Other)"), ["1 wire", "1 error"]);
    assert_eq!(names("use crate::{\n    gms::Gms, // the metadata\n    Tso,\n};"), ["1 gms", "1 Tso"]);
    assert_eq!(names("let x = 1; // crate::server is above"), [""; 0]);
}

fn lib() -> String {
    fs::read_to_string("src/lib.rs").expect("src/lib.rs is readable")
}

/// The rooms of each line of the list, from the top down.
fn floors() -> Vec<Vec<String>> {
    lib().lines().filter_map(|line| line.strip_prefix("//! - ")?.split(": ").next()).map(|head| quoted(head).collect()).collect()
}

fn floor(floors: &[Vec<String>], room: &str) -> Option<usize> {
    floors.iter().position(|rooms| rooms.iter().any(|one| one == room))
}

/// The words between backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(String::from).collect::<Vec<_>>().into_iter()
}

/// The room of a file below src/.
fn room(path: &Path) -> Option<String> {
    let first = path.strip_prefix("src").ok()?.components().next()?;
    Some(Path::new(first.as_os_str()).with_extension("").to_str()?.to_owned())
}

/// The names that follow `crate::` outside of comments, each with its line.
fn used(text: &str) -> Vec<(usize, String)> {
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut names = Vec::new();
    for (at, mark) in code.match_indices("crate::") {
        let line = code[..at].lines().count().max(1);
        let rest = &code[at + mark.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(
                group.split('}').next().unwrap_or_default().split(',').map(word).filter(|name| !name.is_empty()).map(|name| (line, name)),
            ),
            None => names.push((line, word(rest))),
        }
    }
    names
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources is readable") {
        let path = entry.expect("an entry of a folder is readable").path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
    found
}

//! Bytes from outside never make a decoder panic, hang or overflow its stack: every input that is kept in
//! `tests/corpus/<target>/`, and random changes of each, go through the fuzz targets of `fuzz/`.
//!
//! `FLASHGATE_SEED=n cargo test --test fuzz_corpus` repeats a run; FLASHGATE_MUTATIONS=n sets how many changes of each
//! input are tried. An input that failed lies in the target directory's `tmp/fuzz_corpus-<target>` (also after a crash
//! that no test harness survives); keep it in `tests/corpus/<target>/` with a telling name. `tests/corpus/make.py` made the
//! first ones and says what each is.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use targets::Target;

/// The stack of a thread of the server (`cli::runtime`).
const STACK: usize = 8 << 20;
/// Changes of one input; fewer of a long one.
const MUTATIONS: usize = 150;
const MUTATED_BYTES: usize = 200_000;
/// No input of this size takes nearly as long, not even unoptimised on a loaded machine.
const TOO_LONG: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// SplitMix64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// A few random changes: bits, whole bytes, numbers that decoders stumble over, cuts, repetitions, bytes of another input.
fn mutate(random: &mut Random, input: &[u8], other: &[u8]) -> Vec<u8> {
    const EDGES: [&[u8]; 8] = [
        &[0],
        &[0xff],
        &[0x7f],
        &[0x80],
        &[0xff; 4],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff; 8],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ];
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let until = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(8) {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            2 if !bytes.is_empty() => bytes[at] = random.next() as u8,
            3 => {
                let edge = EDGES[random.below(EDGES.len())];
                bytes.splice(at..(at + edge.len()).min(bytes.len()), edge.iter().copied());
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..until)),
            6 => {
                let copy = bytes[at..until].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..(from + random.below(32)).min(other.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}

/// The kept inputs of a target, by name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    files.sort();
    let read = |path: &PathBuf| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    files.iter().map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), read(path))).collect()
}

/// Runs one input; Err says how it failed.
fn attempt(target: Target, bytes: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    catch_unwind(AssertUnwindSafe(|| target(bytes))).map_err(|_| "panicked (its message stands above)".to_owned())?;
    let took = began.elapsed();
    if took > TOO_LONG { Err(format!("took {took:?}")) } else { Ok(()) }
}

fn run(name: &str) {
    let seed = number("FLASHGATE_SEED")
        .unwrap_or_else(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64));
    println!("FLASHGATE_SEED={seed}");
    let target = targets::TARGETS.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no target {name}")).1;
    let inputs = corpus(name);
    assert!(inputs.len() >= 10, "the corpus of {name} has only {} inputs", inputs.len());
    let last = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz_corpus-{name}"));
    let kept = File::create(&last).unwrap_or_else(|e| panic!("{}: {e}", last.display()));
    let try_one = |origin: &str, bytes: &[u8]| {
        // In place: a file system may flush a file that is made empty and written anew.
        let written = kept.write_all_at(bytes, 0).and_then(|()| kept.set_len(bytes.len() as u64));
        written.unwrap_or_else(|e| panic!("{}: {e}", last.display()));
        if let Err(how) = attempt(target, bytes) {
            let shown = hex::encode(&bytes[..bytes.len().min(2048)]);
            panic!("{name} {how}: {origin}, {} bytes, kept in {}; FLASHGATE_SEED={seed}; hex: {shown}", bytes.len(), last.display());
        }
    };
    let mut runs = 0;
    for (at, (file, bytes)) in inputs.iter().enumerate() {
        try_one(file, bytes);
        // Each input has its own sequence, so that a new one does not change what the others meet.
        let mut random = Random(seed ^ file.bytes().fold(0, |hash: u64, b| hash.rotate_left(7) ^ u64::from(b)));
        let count = number("FLASHGATE_MUTATIONS").map_or(MUTATIONS.min(MUTATED_BYTES / (bytes.len() + 1)).max(4), |n| n as usize);
        for n in 0..count {
            let other = &inputs[(at + 1 + n) % inputs.len()].1;
            try_one(&format!("change {n} of {file}"), &mutate(&mut random, bytes, other));
            runs += 1;
        }
    }
    println!("{name}: {} inputs, {runs} changes of them", inputs.len());
}

/// On a thread like the server's: an input that needs more stack must fail here too.
fn on_a_server_s_stack(name: &'static str) {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || run(name)).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn no_bytes_of_a_mysql_client_make_a_decoder_panic() {
    on_a_server_s_stack("mysql_wire");
}

#[test]
fn no_bytes_of_a_postgres_client_make_a_decoder_panic() {
    on_a_server_s_stack("postgres_wire");
}

#[test]
fn no_text_makes_the_parser_panic() {
    on_a_server_s_stack("sql_parse");
}

#[test]
fn no_file_makes_the_orc_reader_panic() {
    on_a_server_s_stack("orc_tail");
}

#[test]
fn no_header_of_a_load_balancer_makes_the_reader_panic() {
    on_a_server_s_stack("proxy_protocol");
}

#[test]
fn every_target_has_a_corpus_and_a_test_here() {
    let mut folders: Vec<_> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus"))
        .expect("tests/corpus")
        .map(|entry| entry.expect("a directory entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("a name"))
        .collect();
    folders.sort();
    let mut names: Vec<_> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(folders, names);
    let source = include_str!("fuzz_corpus.rs");
    assert!(names.iter().all(|name| source.contains(&format!("on_a_server_s_stack(\"{name}\")"))));
}

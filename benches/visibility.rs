//! What a snapshot costs: among 1,000,000 versions of one table, with 10,000 visible, and with nothing visible.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use flashgate::Tso;
use flashgate::gms::{FileId, VisibilityIndex};

const VERSIONS: u64 = 1_000_000;
const VISIBLE: u64 = 10_000;

/// Each version lives until `VISIBLE` younger ones have come; at the end all are removed at one moment.
fn history() -> VisibilityIndex {
    let mut index = VisibilityIndex::new();
    for i in 0..VERSIONS {
        if i >= VISIBLE {
            index.remove(FileId(i - VISIBLE), Tso(i));
        }
        index.insert(FileId(i), Tso(i));
    }
    for i in VERSIONS - VISIBLE..VERSIONS {
        index.remove(FileId(i), Tso(VERSIONS + 1));
    }
    index
}

fn visibility(c: &mut Criterion) {
    let index = history();
    println!("bytes a version: {}", index.memory_bytes() as u64 / VERSIONS);
    assert_eq!(index.resolve(Tso(VERSIONS)).len() as u64, VISIBLE);
    c.bench_function("snapshot of 10,000 visible among 1,000,000", |b| b.iter(|| index.resolve(black_box(Tso(VERSIONS / 2 + 7))).len()));
    c.bench_function("snapshot of the newest 10,000", |b| b.iter(|| index.resolve(black_box(Tso(VERSIONS))).len()));
    c.bench_function("snapshot with nothing visible", |b| b.iter(|| index.resolve(black_box(Tso(VERSIONS + 1))).len()));
}

criterion_group!(benches, visibility);
criterion_main!(benches);

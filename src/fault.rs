//! Named points at which a test may kill the process.
//!
//! `FLASHGATE_CRASH_AT=name` aborts the process when the point `name` is reached, `name:3` when it is reached for the
//! third time. Without the variable a point costs one load. Nothing is flushed or closed: what is on disk is all there is.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every point there is, in the metadata room and in the rooms above it.
pub const ALL: &[&str] = &[
    "gms.task.before_tx",
    "gms.task.after_tx",
    "gms.register.before_tx",
    "gms.register.after_tx",
    "gms.commit.before_tx",
    "gms.commit.in_tx",
    "gms.commit.before_publish",
    "gms.commit.after_publish",
    "gms.abandon.before_tx",
    "gms.abandon.after_tx",
    "gms.create_table.before_tx",
    "gms.create_table.after_tx",
    "gms.alter.before_tx",
    "gms.alter.after_tx",
    "gms.rename.before_tx",
    "gms.rename.after_tx",
    "gms.drop_table.before_tx",
    "gms.drop_table.in_tx",
    "gms.drop_table.after_tx",
    "gms.drop_files.before_tx",
    "gms.drop_files.in_tx",
    "gms.drop_files.after_tx",
    "gms.flashback.before_tx",
    "gms.flashback.after_tx",
    "gms.purge.before_tx",
    "gms.purge.in_tx",
    "gms.purge.after_tx",
    "gms.purge_binned.before_tx",
    "gms.purge_binned.after_tx",
    "gms.clear.before_tx",
    "gms.clear.after_tx",
    "gms.trim.before_tx",
    "gms.trim.in_tx",
    "gms.trim.after_tx",
    "gms.garbage.before_forget",
    "gms.garbage.after_forget",
    "gms.clock.before_lease",
    "gms.clock.after_lease",
    "gms.recover.before_tx",
    "gms.recover.after_tx",
    "cold.write.registered",
    "cold.write.before_put",
    "cold.write.after_put",
    "cold.commit.begin",
    "cold.commit.files_durable",
    "cold.backup.before_put",
    "cold.backup.after_put",
    "cold.sweep.objects_deleted",
];

struct Armed {
    name: String,
    left: AtomicU32,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// Aborts the process here if a test asked for it.
pub fn point(name: &'static str) {
    debug_assert!(ALL.contains(&name), "fault point {name} is not listed in fault::ALL");
    let Some(armed) = ARMED.get_or_init(|| std::env::var("FLASHGATE_CRASH_AT").ok().map(|text| parse(&text))) else { return };
    if armed.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        std::process::abort();
    }
}

fn parse(text: &str) -> Armed {
    let (name, count) = match text.rsplit_once(':').and_then(|(name, n)| Some((name, n.parse().ok()?))) {
        Some((name, n)) => (name, u32::max(n, 1)),
        None => (text, 1),
    };
    Armed { name: name.to_owned(), left: AtomicU32::new(count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_may_be_armed_for_its_nth_hit() {
        let first = parse("gms.commit.in_tx");
        assert_eq!((first.name.as_str(), first.left.into_inner()), ("gms.commit.in_tx", 1));
        let third = parse("gms.commit.in_tx:3");
        assert_eq!((third.name.as_str(), third.left.into_inner()), ("gms.commit.in_tx", 3));
    }

    #[test]
    fn names_are_listed_once() {
        let mut names = ALL.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}

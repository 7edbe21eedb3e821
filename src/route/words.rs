//! The words of Flashgate's statements, beside the names of cold tables.

/// Longer words are not known: 64 characters of up to four bytes.
pub(super) const MAX_WORD: usize = 256;

/// A table in the recycle bin.
pub(super) const BIN_PREFIX: &[u8] = b"file_storage_bin_";

/// What a word means to the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// Its statement may be Flashgate's.
    Known,
    /// ENGINE: what follows it decides.
    Engine,
    /// The name of one of Flashgate's engines, after ENGINE.
    EngineName,
    /// PREPARE, EXECUTE, KILL: as the first word. What they mean stands in a string, was prepared before or runs elsewhere.
    Prepared,
    /// START, BEGIN: as the first word.
    Starts,
    /// SHOW: as the first word.
    Shows,
    /// TABLES, TABLE STATUS: in a SHOW.
    Tables,
    /// OF: in a statement that starts a transaction.
    Of,
}

/// In lower case.
pub(super) const KEYWORDS: [(&str, Word); 32] = [
    ("filestorage", Word::Known),
    ("cold", Word::Known),
    ("recyclebin", Word::Known),
    ("flashback", Word::Known),
    ("flashback_read_time", Word::Known),
    ("archive_mode", Word::Known),
    ("unarchive", Word::Known),
    ("expire", Word::Known),
    ("file_storage", Word::Known),
    ("file_storage_files_meta", Word::Known),
    ("files", Word::Known),
    ("engine", Word::Engine),
    ("oss", Word::EngineName),
    ("s3", Word::EngineName),
    ("local_disk", Word::EngineName),
    ("external_disk", Word::EngineName),
    ("nfs", Word::EngineName),
    ("abs", Word::EngineName),
    ("gcs", Word::EngineName),
    ("hdfs", Word::EngineName),
    ("prepare", Word::Prepared),
    ("execute", Word::Prepared),
    ("deallocate", Word::Prepared),
    ("kill", Word::Prepared),
    ("flashgate", Word::Known),
    ("show", Word::Shows),
    ("tables", Word::Tables),
    ("status", Word::Tables),
    ("start", Word::Starts),
    ("begin", Word::Starts),
    ("of", Word::Of),
    ("tddl", Word::Known),
];

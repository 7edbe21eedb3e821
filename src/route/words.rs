//! The words that make a statement ours, beside the names of cold tables.

/// Longer words are none of ours: 64 characters of up to four bytes.
pub(super) const MAX_WORD: usize = 256;

/// A table in the recycle bin.
pub(super) const BIN_PREFIX: &[u8] = b"file_storage_bin_";

/// What a word means to the scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// It alone makes the statement ours.
    Ours,
    /// ENGINE: what follows decides.
    Engine,
    /// The name of an engine of ours, behind ENGINE.
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
    ("filestorage", Word::Ours),
    ("cold", Word::Ours),
    ("recyclebin", Word::Ours),
    ("flashback", Word::Ours),
    ("flashback_read_time", Word::Ours),
    ("archive_mode", Word::Ours),
    ("unarchive", Word::Ours),
    ("expire", Word::Ours),
    ("file_storage", Word::Ours),
    ("file_storage_files_meta", Word::Ours),
    ("files", Word::Ours),
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
    ("flashgate", Word::Ours),
    ("show", Word::Shows),
    ("tables", Word::Tables),
    ("status", Word::Tables),
    ("start", Word::Starts),
    ("begin", Word::Starts),
    ("of", Word::Of),
    ("tddl", Word::Ours),
];

/// Part of a bare name in either language. Bytes beyond ASCII are.
pub(super) const fn is_word_byte(byte: u8) -> bool {
    BYTES[byte as usize] & WORD != 0
}

/// Goes on with a name that has begun.
pub(super) const fn goes_on(byte: u8) -> bool {
    BYTES[byte as usize] & GOES_ON != 0
}

/// Means nothing to the scan wherever it stands outside quotes and comments.
pub(super) const fn is_idle(byte: u8) -> bool {
    BYTES[byte as usize] & IDLE != 0
}

const WORD: u8 = 1;
const GOES_ON: u8 = 2;
const IDLE: u8 = 4;

const BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = match b {
            b'_' | 0x80.. => WORD | GOES_ON,
            _ if b.is_ascii_alphanumeric() => WORD | GOES_ON,
            b'$' => GOES_ON,
            b'\'' | b'"' | b'`' | b'-' | b'#' | b'/' | b';' => 0,
            _ => IDLE,
        };
        byte += 1;
    }
    table
};

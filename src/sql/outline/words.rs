//! The words that an outline follows.

/// Longer words are none of them.
const LONGEST: usize = 20;

macro_rules! words {
    ($($name:ident $text:literal),* $(,)?) => {
        /// A word or sign of a text, as far as it says where tables are named.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Word {
            /// No word was read yet.
            Nothing,
            Sign(u8),
            /// A string, or a variable.
            Value,
            /// Any other word, and names in quotes.
            Other,
            $($name),*
        }

        impl Word {
            /// What a word without quotes is, in any case.
            pub fn of(word: &str) -> Word {
                if word.len() > LONGEST || !word.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) {
                    return Word::Other;
                }
                let mut upper = [0; LONGEST];
                let upper = &mut upper[..word.len()];
                upper.copy_from_slice(word.as_bytes());
                upper.make_ascii_uppercase();
                match &*upper {
                    $($text => Word::$name,)*
                    _ => Word::Other,
                }
            }
        }
    };
}

words! {
    Aggregate b"AGGREGATE", Algorithm b"ALGORITHM", Alter b"ALTER", Analyze b"ANALYZE", As b"AS", Atomic b"ATOMIC",
    Begin b"BEGIN", Case b"CASE", Call b"CALL", Check b"CHECK", Checksum b"CHECKSUM", Clear b"CLEAR", Cluster b"CLUSTER",
    Cold b"COLD", Columns b"COLUMNS", Comment b"COMMENT", Concurrently b"CONCURRENTLY", Conflict b"CONFLICT",
    Connection b"CONNECTION", Constraint b"CONSTRAINT", Copy b"COPY", Create b"CREATE", Cycle b"CYCLE",
    Declare b"DECLARE", Default b"DEFAULT", Definer b"DEFINER", Delayed b"DELAYED", Delete b"DELETE", Desc b"DESC",
    Describe b"DESCRIBE", Distinct b"DISTINCT", Do b"DO", Drop b"DROP", Dual b"DUAL", Duplicate b"DUPLICATE",
    Else b"ELSE", End b"END", Engine b"ENGINE", Event b"EVENT", Except b"EXCEPT", Execute b"EXECUTE", Exists b"EXISTS",
    Explain b"EXPLAIN", Extended b"EXTENDED", External b"EXTERNAL", Fetch b"FETCH", Fields b"FIELDS", Files b"FILES",
    FileStorage b"FILESTORAGE", Flashback b"FLASHBACK", FlashbackReadTime b"FLASHBACK_READ_TIME", Flashgate b"FLASHGATE",
    For b"FOR", Foreign b"FOREIGN", Format b"FORMAT", Freeze b"FREEZE", From b"FROM", Full b"FULL", Fulltext b"FULLTEXT",
    Function b"FUNCTION", Global b"GLOBAL", Grant b"GRANT", Group b"GROUP", Having b"HAVING", HighPriority b"HIGH_PRIORITY",
    History b"HISTORY", If b"IF", Ignore b"IGNORE", In b"IN", Index b"INDEX", Indexes b"INDEXES", Insert b"INSERT",
    Intersect b"INTERSECT", Into b"INTO", Invoker b"INVOKER", Is b"IS", Join b"JOIN", Key b"KEY", Keys b"KEYS",
    Lateral b"LATERAL", Like b"LIKE", Limit b"LIMIT", Load b"LOAD", Local b"LOCAL", Lock b"LOCK", Loop b"LOOP",
    LowPriority b"LOW_PRIORITY", Materialized b"MATERIALIZED", Merge b"MERGE", Minus b"MINUS", No b"NO", Not b"NOT",
    NoWriteToBinlog b"NO_WRITE_TO_BINLOG", Of b"OF", Offline b"OFFLINE", Offset b"OFFSET", Oj b"OJ", On b"ON",
    Online b"ONLINE", Only b"ONLY", Optimize b"OPTIMIZE", Or b"OR", Order b"ORDER", Package b"PACKAGE",
    Partitions b"PARTITIONS", Prepare b"PREPARE", Procedure b"PROCEDURE", Purge b"PURGE", Quick b"QUICK",
    RecycleBin b"RECYCLEBIN", Recursive b"RECURSIVE", Reindex b"REINDEX", Rename b"RENAME", Repair b"REPAIR",
    Repeat b"REPEAT", Replace b"REPLACE", Returning b"RETURNING", Revoke b"REVOKE", Search b"SEARCH",
    Security b"SECURITY", Select b"SELECT", Set b"SET", Shadow b"SHADOW", Share b"SHARE", Show b"SHOW", Spatial b"SPATIAL",
    Sql b"SQL", Standin b"STANDIN", Start b"START", Statement b"STATEMENT", Statistics b"STATISTICS",
    StraightJoin b"STRAIGHT_JOIN", Table b"TABLE", Tables b"TABLES", Temp b"TEMP", Temporary b"TEMPORARY",
    TempTable b"TEMPTABLE", Then b"THEN", Trigger b"TRIGGER", Truncate b"TRUNCATE", Unarchive b"UNARCHIVE",
    Undefined b"UNDEFINED", Union b"UNION", Unique b"UNIQUE", Unlogged b"UNLOGGED", Update b"UPDATE", Using b"USING",
    Vacuum b"VACUUM", Values b"VALUES", Verbose b"VERBOSE", View b"VIEW", When b"WHEN", Where b"WHERE", While b"WHILE",
    Window b"WINDOW", With b"WITH",
}

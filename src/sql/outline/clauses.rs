//! What a word means where it stands.

use super::super::grant::StoragePrivilege;
use super::tokens::Token;
use super::words::Word;
use super::{Reader, Verb};

/// What the next word can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Clause {
    /// A statement, or in parentheses a query, a change or an expression.
    #[default]
    Begin,
    /// FROM means nothing here.
    Expression,
    /// The list of a SELECT: FROM begins its tables.
    Select,
    /// A table or what stands in its place: behind FROM, JOIN, UPDATE.
    Tables,
    /// What stands behind one of them.
    Joined,
    /// The table of a statement that names it by itself; the flag: others may follow behind commas.
    Name(bool),
    /// Behind one of several.
    Named,
    /// The table of INSERT or MERGE.
    Target,
    With(With),
    /// DELETE, up to FROM; the flag: there are tables before it.
    Delete(bool),
    Create,
    Alter,
    Drop,
    /// An index, up to ON.
    Index,
    /// EXPLAIN, DESCRIBE, ANALYZE: a statement or tables follow.
    Explain,
    /// OPTIMIZE, CHECK, RENAME and the like, up to TABLE.
    UpToTable,
    Load,
    Comment,
    Show,
    /// GRANT and REVOKE; the flag: of rights on file storages.
    Grant(Option<bool>),
    /// A statement follows behind AS: PREPARE.
    UpToAs,
    /// A statement follows behind FOR: DECLARE, SET STATEMENT.
    UpToFor,
    Starts,
    Set,
    /// PURGE, CLEAR: of something of ours?
    Own,
    /// A routine, with so many open blocks.
    Routine(u32),
    /// Nothing in the rest names a table that is read now.
    Rest,
}

/// How far WITH has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    Name,
    Columns,
    As,
    Body,
    Behind,
    /// The columns of SEARCH and CYCLE.
    Lists,
}

impl<'a> Reader<'a, '_> {
    /// Takes a word into account, or a sign that is no parenthesis.
    pub(super) fn word(&mut self, tok: Token<'a>, word: Word) {
        if word == Word::FlashbackReadTime && self.outline.of_session && self.outside() {
            self.outline.own = true;
        }
        let clause = self.top().clause;
        match clause {
            Clause::Begin if self.outside() => self.begins(word),
            Clause::Begin => self.begins_inside(tok, word),
            Clause::Expression => self.expression(word),
            Clause::Select => self.select(word),
            Clause::Tables => self.tables(tok, word),
            Clause::Joined => self.joined(word),
            Clause::Name(list) => self.named(tok, word, list),
            Clause::Named if word == Word::Sign(b',') => self.goes(Clause::Name(true)),
            Clause::Named => {}
            Clause::Target => match word {
                Word::Into | Word::LowPriority | Word::Delayed | Word::HighPriority | Word::Ignore | Word::Only => {}
                _ => {
                    self.names_table(tok);
                    self.top().open = true;
                    self.goes(Clause::Expression);
                }
            },
            Clause::With(at) => self.with(tok, word, at),
            Clause::Delete(tables) => match word {
                Word::LowPriority | Word::Quick | Word::Ignore | Word::History => {}
                Word::From => {
                    self.top().verb = if tables { Verb::Other } else { Verb::Delete };
                    self.goes(Clause::Tables);
                }
                _ => self.goes(Clause::Delete(true)),
            },
            Clause::Create | Clause::Alter | Clause::Drop => self.definition(word),
            Clause::Index if word == Word::On => self.goes(Clause::Name(false)),
            Clause::Index => {}
            Clause::Explain => self.explain(tok, word),
            Clause::UpToTable if matches!(word, Word::Table | Word::Tables) => self.goes(Clause::Name(true)),
            Clause::UpToTable => {}
            Clause::Load if word == Word::Table && self.before == Word::Into => self.goes(Clause::Name(false)),
            Clause::Load => {}
            Clause::Comment => match word {
                Word::On => {}
                Word::Table | Word::View => self.goes(Clause::Name(false)),
                _ => self.goes(Clause::Rest),
            },
            Clause::Show => self.show(word),
            Clause::Grant(storage) => self.grant(tok, word, storage),
            Clause::UpToAs if word == Word::As => self.goes(Clause::Begin),
            Clause::UpToFor if word == Word::For => self.goes(Clause::Begin),
            Clause::UpToAs | Clause::UpToFor => {}
            Clause::Starts => match word {
                Word::Not if self.mysql && self.before == Word::Begin => self.goes(Clause::Routine(1)),
                Word::Of if self.before == Word::As => self.outline.own = true,
                _ => {}
            },
            Clause::Set if word == Word::Statement && self.before == Word::Set => self.goes(Clause::UpToFor),
            Clause::Set => {}
            Clause::Own => {
                self.outline.own |= matches!(word, Word::FileStorage | Word::RecycleBin | Word::Table);
                self.goes(Clause::Rest);
            }
            Clause::Routine(blocks) => self.routine(word, blocks),
            Clause::Rest => {}
        }
    }

    fn goes(&mut self, clause: Clause) {
        self.top().clause = clause;
    }

    fn owns(&mut self) {
        self.outline.own = true;
        self.goes(Clause::Rest);
    }

    fn of_session(&mut self, clause: Clause) {
        self.outline.of_session = true;
        self.goes(clause);
    }

    fn names_table(&mut self, tok: Token<'a>) {
        let parts = self.name(tok);
        if !parts.is_empty() {
            self.place(parts);
        }
    }

    /// The word with which a statement begins.
    fn begins(&mut self, word: Word) {
        match word {
            Word::Select
            | Word::With
            | Word::Values
            | Word::Table
            | Word::Insert
            | Word::Replace
            | Word::Update
            | Word::Delete
            | Word::Merge => {
                self.query(word);
            }
            Word::Create => self.goes(Clause::Create),
            Word::Alter => self.goes(Clause::Alter),
            Word::Drop => self.goes(Clause::Drop),
            Word::Truncate => self.goes(Clause::Name(true)),
            Word::Lock | Word::Vacuum | Word::Cluster if !self.mysql => self.goes(Clause::Name(true)),
            Word::Copy if !self.mysql => self.goes(Clause::Name(false)),
            Word::Lock | Word::Rename | Word::Optimize | Word::Check | Word::Repair | Word::Checksum | Word::Reindex => {
                self.goes(Clause::UpToTable);
            }
            Word::Load => self.goes(Clause::Load),
            Word::Comment => self.goes(Clause::Comment),
            Word::Explain | Word::Describe | Word::Desc | Word::Analyze => self.goes(Clause::Explain),
            Word::Call | Word::Do => self.goes(Clause::Expression),
            Word::Flashback | Word::Unarchive => self.owns(),
            Word::Purge | Word::Clear => self.goes(Clause::Own),
            Word::Show => self.of_session(Clause::Show),
            Word::Grant | Word::Revoke => self.of_session(Clause::Grant(None)),
            Word::Prepare => self.of_session(if self.mysql { Clause::Rest } else { Clause::UpToAs }),
            Word::Declare => self.of_session(Clause::UpToFor),
            Word::Set => self.of_session(Clause::Set),
            Word::Start | Word::Begin => self.of_session(Clause::Starts),
            // MariaDB takes the statements of routines anywhere.
            Word::If | Word::Case | Word::Loop | Word::While | Word::Repeat | Word::For if self.mysql => self.goes(Clause::Routine(1)),
            // A sign that begins nothing.
            Word::Sign(_) => {}
            _ => self.of_session(Clause::Expression),
        }
    }

    /// The word with which parentheses begin.
    fn begins_inside(&mut self, tok: Token<'a>, word: Word) {
        let frame = *self.top();
        match word {
            Word::Select | Word::With | Word::Values | Word::Table => self.query(word),
            // In MySQL INSERT and REPLACE are functions.
            Word::Insert | Word::Update | Word::Delete | Word::Merge if !self.mysql => self.query(word),
            Word::Like if frame.verb == Verb::Create => self.goes(Clause::Name(false)),
            _ if frame.table => {
                self.goes(Clause::Tables);
                self.tables(tok, word);
            }
            _ => {
                self.goes(Clause::Expression);
                self.expression(word);
            }
        }
    }

    /// A query or a change begins.
    fn query(&mut self, word: Word) {
        let frame = self.top();
        (frame.verb, frame.open) = (Verb::Other, false);
        frame.clause = match word {
            Word::Select => Clause::Select,
            Word::With => {
                frame.recursive = false;
                Clause::With(With::Name)
            }
            Word::Table => Clause::Name(false),
            Word::Insert | Word::Replace => Clause::Target,
            Word::Update => {
                frame.verb = Verb::Update;
                Clause::Tables
            }
            Word::Delete => Clause::Delete(false),
            Word::Merge => {
                frame.verb = Verb::Merge;
                Clause::Target
            }
            _ => Clause::Expression,
        };
    }

    fn expression(&mut self, word: Word) {
        let outside = self.outside();
        let (before, options) = (self.before, word == Word::With && self.next_is(b'('));
        let frame = self.top();
        match word {
            Word::With if frame.verb == Verb::Create && options => {}
            Word::Select | Word::With => self.query(word),
            Word::Table if frame.open => self.query(word),
            Word::Values | Word::Default | Word::Set => frame.open = false,
            Word::Union | Word::Except | Word::Intersect | Word::Minus => frame.open = true,
            Word::Using if frame.verb == Verb::Merge => frame.clause = Clause::Tables,
            Word::As if frame.verb == Verb::Create => frame.open = true,
            Word::Like if frame.verb == Verb::Create && outside && before == Word::Other => frame.clause = Clause::Name(false),
            Word::Engine if (frame.verb == Verb::Create && outside) || frame.verb == Verb::Options => {
                if self.next_is(b'=') {
                    self.take();
                }
                let value = match self.ahead {
                    Some((Token::Text(text), _)) => Some(text.to_owned()),
                    Some((tok, _)) => tok.name().map(|name| name.into_owned()),
                    None => None,
                };
                self.outline.engine = value.or(self.outline.engine.take());
            }
            _ => {}
        }
    }

    fn select(&mut self, word: Word) {
        match word {
            // IS [NOT] DISTINCT FROM.
            Word::From if self.before == Word::Distinct && matches!(self.earlier, Word::Is | Word::Not) => {}
            Word::From => self.goes(Clause::Tables),
            Word::Union | Word::Except | Word::Intersect | Word::Minus if self.before != Word::As => {
                self.top().open = true;
                self.goes(Clause::Expression);
            }
            _ => {}
        }
    }

    fn tables(&mut self, tok: Token<'a>, word: Word) {
        match word {
            Word::Lateral | Word::Only => {}
            Word::LowPriority | Word::Ignore if self.mysql => {}
            Word::Sign(b'{' | b'.' | b'*' | b'/') => {}
            Word::Oj if self.before == Word::Sign(b'{') => {}
            Word::Select => self.query(word),
            Word::Sign(_) | Word::Value => self.goes(Clause::Joined),
            _ => {
                let parts = self.name(tok);
                if !self.next_is(b'(') {
                    self.place(parts);
                }
                self.goes(Clause::Joined);
            }
        }
    }

    fn joined(&mut self, word: Word) {
        let (before, mysql) = (self.before, self.mysql);
        let frame = self.top();
        match word {
            Word::Sign(b',') => frame.clause = Clause::Tables,
            // An alias.
            _ if before == Word::As => {}
            // USE INDEX FOR JOIN.
            Word::Join if before != Word::For => {
                frame.clause = Clause::Tables;
                if frame.verb == Verb::Delete {
                    frame.verb = Verb::Other;
                }
            }
            Word::StraightJoin => frame.clause = Clause::Tables,
            Word::Using if frame.verb == Verb::Delete => {
                (frame.verb, frame.clause) = (Verb::Other, Clause::Tables);
                if mysql {
                    self.targets.clear();
                }
            }
            Word::Set if frame.verb == Verb::Update => {
                frame.clause = if mysql { Clause::Expression } else { Clause::Select };
            }
            Word::Where | Word::Having | Word::Limit | Word::Window | Word::Returning | Word::Into | Word::Procedure | Word::Lock => {
                frame.clause = Clause::Expression;
            }
            Word::Fetch | Word::Offset if !mysql => frame.clause = Clause::Expression,
            Word::Group | Word::Order if before != Word::For => frame.clause = Clause::Expression,
            Word::Update | Word::Share | Word::No | Word::Key if before == Word::For => frame.clause = Clause::Expression,
            Word::Duplicate | Word::Conflict if before == Word::On => frame.clause = Clause::Expression,
            Word::Union | Word::Except | Word::Intersect | Word::Minus => {
                (frame.clause, frame.open) = (Clause::Expression, true);
            }
            Word::Case => frame.cases += 1,
            Word::End => frame.cases = frame.cases.saturating_sub(1),
            Word::When if frame.verb == Verb::Merge && frame.cases == 0 => frame.clause = Clause::Expression,
            Word::Select => self.query(word),
            _ => {}
        }
    }

    fn named(&mut self, tok: Token<'a>, word: Word, list: bool) {
        match word {
            Word::If | Word::Not | Word::Exists | Word::Only | Word::Table | Word::Tables | Word::Concurrently => {}
            Word::Full | Word::Freeze | Word::Verbose | Word::Analyze | Word::Sign(_) | Word::Value => {}
            _ => {
                // A temporary table of PostgreSQL hides one of ours.
                if self.temporary && !self.mysql {
                    self.name(tok);
                } else {
                    self.names_table(tok);
                }
                self.goes(if list { Clause::Named } else { Clause::Expression });
            }
        }
    }

    fn with(&mut self, tok: Token<'a>, word: Word, at: With) {
        let next = match (at, word) {
            (With::Name, Word::Recursive) => {
                self.top().recursive = true;
                With::Name
            }
            (With::Name, _) if tok.name().is_some() => {
                let name = tok.name().unwrap_or_default().into_owned();
                self.give(name);
                With::Columns
            }
            (With::Columns | With::As, Word::As) => With::Body,
            (With::Body, Word::Not | Word::Materialized) => With::Body,
            (With::Behind, Word::Sign(b',')) => With::Name,
            (With::Behind, Word::Search | Word::Cycle) => With::Lists,
            (With::Lists, Word::Set) => With::Behind,
            (With::Lists, _) => With::Lists,
            (
                With::Behind,
                Word::Select | Word::Values | Word::Table | Word::Insert | Word::Replace | Word::Update | Word::Delete | Word::Merge,
            ) => {
                return self.query(word);
            }
            (With::Behind, _) => With::Behind,
            // WITH TIES, WITH CHECK OPTION and the like.
            _ => {
                self.goes(Clause::Expression);
                return self.expression(word);
            }
        };
        self.goes(Clause::With(next));
    }

    /// CREATE, ALTER, DROP: of what?
    fn definition(&mut self, word: Word) {
        let clause = self.top().clause;
        let creates = clause == Clause::Create;
        match word {
            Word::Sign(_) | Word::Value => {}
            // DEFINER = somebody.
            _ if self.before == Word::Sign(b'=') => {}
            Word::FileStorage | Word::Standin => self.owns(),
            Word::Temp | Word::Temporary if clause == Clause::Drop => self.goes(Clause::Rest),
            Word::Temp | Word::Temporary => self.temporary = true,
            Word::Table | Word::View | Word::Tables => {
                if creates || (clause == Clause::Alter && word == Word::View) {
                    self.top().verb = Verb::Create;
                }
                self.goes(Clause::Name(clause == Clause::Drop));
            }
            Word::Index if clause != Clause::Alter => self.goes(Clause::Index),
            Word::Statistics if creates => self.goes(Clause::Select),
            Word::Function | Word::Procedure | Word::Trigger | Word::Package if creates => self.goes(Clause::Routine(0)),
            Word::Event if clause != Clause::Drop => self.goes(Clause::Routine(0)),
            Word::Or | Word::Replace | Word::Shadow | Word::Local | Word::Global | Word::Unlogged | Word::External | Word::Unique => {}
            Word::Fulltext | Word::Spatial | Word::Recursive | Word::Materialized | Word::Foreign | Word::Definer | Word::Sql => {}
            Word::Security | Word::Invoker | Word::Algorithm | Word::Online | Word::Offline | Word::Aggregate | Word::Constraint => {}
            Word::Ignore => {}
            _ => self.goes(Clause::Rest),
        }
    }

    fn explain(&mut self, tok: Token<'a>, word: Word) {
        match word {
            Word::Sign(_) | Word::Value => {}
            // FORMAT = JSON.
            _ if self.before == Word::Sign(b'=') => {}
            Word::Analyze | Word::Verbose | Word::Extended | Word::Partitions | Word::Format | Word::Into | Word::Local => {}
            Word::For | Word::NoWriteToBinlog => {}
            Word::Connection if self.before == Word::For => self.goes(Clause::Rest),
            Word::Table | Word::Tables => self.goes(Clause::Name(true)),
            Word::Select | Word::With | Word::Values | Word::Insert | Word::Replace | Word::Update | Word::Delete | Word::Merge => {
                self.query(word);
            }
            Word::Create => self.goes(Clause::Create),
            Word::Declare => self.of_session(Clause::UpToFor),
            Word::Execute => self.of_session(Clause::Rest),
            _ => {
                self.goes(Clause::Name(true));
                self.named(tok, word, true);
            }
        }
    }

    fn show(&mut self, word: Word) {
        match word {
            Word::FileStorage | Word::RecycleBin | Word::Flashgate if self.before == Word::Show => self.owns(),
            Word::Columns | Word::Fields | Word::Index | Word::Indexes | Word::Keys | Word::Files => self.top().open = true,
            Word::From | Word::In if self.top().open => self.goes(Clause::Name(false)),
            Word::Table | Word::View if self.before == Word::Create => self.goes(Clause::Name(false)),
            _ => {}
        }
    }

    fn grant(&mut self, tok: Token<'a>, word: Word, storage: Option<bool>) {
        match (storage, word) {
            (None, _) => {
                let upper = tok.name().unwrap_or_default().to_ascii_uppercase();
                self.goes(Clause::Grant(Some(StoragePrivilege::of_word(&upper).is_some())));
            }
            (Some(true), Word::FileStorage) if self.before == Word::On => self.owns(),
            (Some(_), Word::Table) if self.before == Word::Cold && self.earlier == Word::On => self.owns(),
            _ => {}
        }
    }

    /// Counts the blocks of a routine's body, between which semicolons stand.
    fn routine(&mut self, word: Word, blocks: u32) {
        let ends = self.before == Word::End;
        // Where a statement of the body may begin.
        let begins = match self.before {
            Word::Sign(b';' | b':') | Word::Then | Word::Else | Word::Begin | Word::Do | Word::Loop | Word::Repeat => true,
            Word::Sign(b')') | Word::Other | Word::Value => blocks == 0,
            Word::Function | Word::Procedure | Word::Trigger | Word::Event | Word::Package => false,
            Word::Sign(_) => false,
            _ => blocks == 0,
        };
        let opens = match word {
            // PostgreSQL's bodies in SQL; all others of its are strings.
            Word::Atomic => !self.mysql && self.before == Word::Begin,
            Word::Case => !ends && (self.mysql || blocks > 0),
            Word::Begin | Word::While | Word::Loop => self.mysql && !ends,
            Word::Repeat => self.mysql && !ends && begins && !self.next_is(b'('),
            Word::If => self.mysql && !ends && begins,
            Word::For => self.mysql && !ends && begins && blocks > 0,
            _ => false,
        };
        let closes = word == Word::End && (self.mysql || blocks > 0);
        let blocks = if closes { blocks.saturating_sub(1) } else { blocks + u32::from(opens) };
        self.frames[0].clause = Clause::Routine(blocks);
    }
}

//! Whose are the statements of a text that is long, or that the parser does not know?
//!
//! Their outline tells: the tables that they name. A long statement is parsed only when it is ours, and then within the
//! room that all clients share; one that cannot be read is the upstream's unless it names something of ours.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::ownership::{Owner, OwnerResolver};
use super::state::Session;
use crate::engine::Namespace;
use crate::error::{Error, Result};
use crate::node::Node;
use crate::node::ParsePermit;
use crate::sql::scan::Scan;
use crate::sql::{Dialect, LONG_TEXT, Outline, Parsed, Statement, outline, parse};

/// A text in which something is ours has no more statements than this.
const MOST_STATEMENTS: usize = 20_000;

/// A statement of a text.
#[derive(Debug)]
pub struct Piece {
    /// Where it stands.
    pub range: Range<usize>,
    /// It names something of ours, so that it is answered here even when it cannot be read.
    pub claimed: bool,
    /// It has to be read: it is claimed, or what it is to us is not in its names.
    pub reads: bool,
    /// The names without a schema by which it names tables of ours.
    pub bare: BTreeSet<String>,
}

impl OwnerResolver<'_> {
    /// Tells of each statement of a text; `each` answers false to stop. False: a string or comment in it has no end.
    fn pieces(&self, text: &str, each: &mut dyn FnMut(Piece) -> bool) -> bool {
        let mut cold = |parts: &[String]| self.parts(parts) == Some(true);
        outline(&self.dialect, text, &mut cold, &mut |outline| {
            let claimed = self.claims(&outline);
            let reads = claimed || (outline.of_session && outline.range.len() <= LONG_TEXT);
            each(Piece { range: outline.range, claimed, reads, bare: self.bare.take() })
        })
    }

    fn claims(&self, outline: &Outline) -> bool {
        outline.cold || outline.own || outline.engine.as_deref().is_some_and(|engine| self.is_engine(engine))
    }

    /// May a statement of the text be ours?
    fn may_own(&self, text: &str) -> bool {
        let mut ours = false;
        self.pieces(text, &mut |piece| {
            ours = piece.claimed || (piece.reads && self.single(&text[piece.range]) != Owner::Upstream);
            !ours
        });
        ours
    }

    /// Whose is a text of one statement? What cannot be read is the upstream's.
    pub(super) fn single(&self, text: &str) -> Owner {
        if text.len() > LONG_TEXT {
            let mut claimed = false;
            self.pieces(text, &mut |piece| {
                claimed |= piece.claimed;
                !claimed
            });
            if !claimed {
                return Owner::Upstream;
            }
        }
        match parse(&self.dialect, text).as_deref() {
            Ok([one]) => self.statement(&one.statement),
            _ => Owner::Upstream,
        }
    }
}

/// May a text be ours, whatever the current database? Asked before the upstream is asked for its state, since that leaves
/// traces (ROW_COUNT() and the like). `session`: the one of ours, when there is one.
pub fn may_own(node: &Node, session: Option<&Session>, dialect: &Dialect, text: &str) -> bool {
    let catalog = node.gms.catalog();
    let namespace = Namespace { family: dialect.family, database: None };
    let resolver = OwnerResolver {
        node,
        session,
        dialect: *dialect,
        catalog: &catalog,
        namespace,
        anywhere: true,
        in_any_schema: false,
        unhidden: false,
        bare: RefCell::default(),
    };
    if text.len() > LONG_TEXT {
        return resolver.may_own(text);
    }
    let read = match session.filter(|session| session.dialect() == *dialect) {
        Some(session) => session.parse_leading(text),
        None => crate::sql::parse_leading(dialect, text),
    };
    match read {
        Ok((statements, None)) => statements.iter().any(|parsed| resolver.statement(&parsed.statement) != Owner::Upstream),
        _ => resolver.may_own(text),
    }
}

impl Session {
    /// Tells of each statement of a text; `each` answers false to stop. False: a string or comment in it has no end.
    pub fn pieces(&self, text: &str, each: &mut dyn FnMut(Piece) -> bool) -> bool {
        let catalog = self.node.gms.catalog();
        OwnerResolver::of(self, &catalog).in_any_schema().pieces(text, each)
    }

    /// The same, as if no name was hidden.
    pub fn pieces_unhidden(&self, text: &str, each: &mut dyn FnMut(Piece) -> bool) -> bool {
        let catalog = self.node.gms.catalog();
        OwnerResolver::of(self, &catalog).in_any_schema().unhidden().pieces(text, each)
    }

    /// Does a statement name something of ours, as far as can be told without reading it?
    pub fn claims(&self, text: &str) -> bool {
        let mut claimed = false;
        self.pieces(text, &mut |piece| {
            claimed |= piece.claimed;
            !claimed
        });
        claimed
    }

    /// The statements of a text, up to the first that is ours and cannot be read, with the error of that one. Of a text that is
    /// long or holds what cannot be read, statements of the upstream are not read: they stand as unsupported.
    pub fn statements(&self, text: &str) -> (Vec<Parsed>, Option<Error>) {
        if text.len() <= LONG_TEXT
            && let Ok((statements, None)) = self.parse_leading(text)
        {
            return (statements, None);
        }
        let (mut statements, mut broken) = (Vec::new(), None);
        let dialect = self.dialect();
        self.pieces(text, &mut |piece| {
            let own = &text[piece.range];
            match piece.reads.then(|| parse(&dialect, own)) {
                Some(Ok(read)) => statements.extend(read),
                Some(Err(error)) if piece.claimed => broken = Some(error),
                _ => statements.push(foreign(own)),
            }
            if statements.len() > MOST_STATEMENTS {
                broken = Some(
                    Error::unsupported(format!("a text of more than {MOST_STATEMENTS} statements, of which some name cold tables"))
                        .with_hint("send the statements in several texts"),
                );
            }
            broken.is_none()
        });
        (statements, broken)
    }

    /// Forgets statements of ours whose names a text prepares elsewhere.
    pub fn forget_prepared_in(&mut self, text: &str) {
        if self.prepared.is_empty() {
            return;
        }
        let mut prepares = Vec::new();
        let dialect = self.dialect();
        self.pieces(text, &mut |piece| {
            let own = &text[piece.range];
            if own.len() <= LONG_TEXT && piece.reads && begins_with_prepare(&dialect, own) {
                prepares.extend(parse(&dialect, own).unwrap_or_default());
            }
            true
        });
        self.forget_prepared(&prepares);
    }

    /// ParsePermit to read what is long and ours in a text, as long as it is kept; None: nothing is.
    pub async fn parse_permit_for(&self, text: &str) -> Result<Option<Arc<ParsePermit>>> {
        if text.len() <= LONG_TEXT {
            return Ok(None);
        }
        let mut bytes = 0;
        self.pieces(text, &mut |piece| {
            bytes += if piece.reads { piece.range.len() } else { 0 };
            true
        });
        self.room(bytes).await
    }

    /// ParsePermit to read a text of so many bytes, as long as it is kept; None: it is short.
    pub async fn room(&self, bytes: usize) -> Result<Option<Arc<ParsePermit>>> {
        if bytes <= LONG_TEXT {
            return Ok(None);
        }
        self.node.reading.take(&self.held_permit, bytes).await.map(Some)
    }
}

/// Is PREPARE the first word of a statement?
fn begins_with_prepare(dialect: &Dialect, statement: &str) -> bool {
    let first = Scan::new(dialect, statement.as_bytes()).find(|piece| !piece.is_blank());
    first.is_some_and(|first| statement[first.range()].eq_ignore_ascii_case("prepare"))
}

/// A statement that was not read.
fn foreign(text: &str) -> Parsed {
    let statement = Statement::Unsupported("a statement of the upstream".into());
    Parsed { statement, text: Arc::from(text), params: 0, hints: Vec::new(), limit: None, settings: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::session::Client;
    use crate::types::Protocol;

    /// The statements of all sql-tests, with the languages that they are for.
    fn statements() -> Vec<(Dialect, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/sql-tests");
        let mut all = Vec::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for block in text.split("\n\n") {
                let mut lines = block.lines().skip_while(|line| !(line.starts_with("statement") || line.starts_with("query")));
                lines.next();
                let statement: Vec<&str> = lines.take_while(|line| *line != "----").collect();
                for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
                    if !statement.is_empty() && !name.contains(if dialect.is_mysql() { "postgres" } else { "mysql" }) {
                        all.push((dialect, statement.join("\n")));
                    }
                }
            }
        }
        all
    }

    async fn node(tables: &[&str]) -> (Arc<Node>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::open(Config { data_dir: dir.path().to_owned(), ..Config::default() }).await.unwrap();
        let client = Client {
            protocol: Protocol::MySql,
            peer: "127.0.0.1:5000".into(),
            user: "root".into(),
            database: None,
            settings: Vec::new(),
            tls: false,
            id: None,
        };
        let mut session = Session::open(Arc::clone(&node), client).await.unwrap();
        let texts = ["CREATE DATABASE shop".to_owned(), "USE shop".to_owned()];
        for text in texts.into_iter().chain(tables.iter().map(|table| format!("CREATE TABLE {table} (id INT)"))) {
            for parsed in session.parse(&text).unwrap() {
                session.execute(&parsed, &[]).await.unwrap_or_else(|error| panic!("{text}: {error}"));
            }
        }
        (node, dir)
    }

    fn resolver<'a>(node: &'a Node, catalog: &'a crate::gms::Catalog, dialect: Dialect) -> OwnerResolver<'a> {
        let namespace = Namespace { family: dialect.family, database: None };
        OwnerResolver {
            node,
            session: None,
            dialect,
            catalog,
            namespace,
            anywhere: true,
            in_any_schema: false,
            unhidden: false,
            bare: RefCell::default(),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_the_parser_and_the_outline_say_of_a_statement_agrees() {
        let (node, _dir) = node(&["t", "orders", "o", "p", "a", "emp", "items", "x", "u"]).await;
        let catalog = node.gms.catalog();
        let (mut ours, mut theirs) = (0, 0);
        for (dialect, text) in statements() {
            let resolver = resolver(&node, &catalog, dialect);
            let Some(parsed) = parse(&dialect, &text).ok().filter(|all| all.len() == 1).and_then(|mut all| all.pop()) else { continue };
            let by_parser = resolver.statement(&parsed.statement) != Owner::Upstream;
            let mut by_outline = false;
            let mut reads = false;
            resolver.pieces(&text, &mut |piece| {
                by_outline |= piece.claimed;
                reads |= piece.reads;
                true
            });
            // Of the session are statements that are always read.
            if reads && !by_outline {
                continue;
            }
            assert_eq!(by_parser, by_outline, "{:?}: {text}", dialect.family);
            (ours, theirs) = if by_parser { (ours + 1, theirs) } else { (ours, theirs + 1) };
        }
        assert!(ours > 300 && theirs > 300, "{ours} {theirs}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn hot_statements_whose_words_are_names_of_cold_tables_are_the_upstream_s() {
        let (node, _dir) = node(&["orders", "log", "status"]).await;
        let both = [Dialect::MYSQL, Dialect::POSTGRES];
        let theirs: &[(&[Dialect], &str)] = &[
            (&both[1..], "create function f() returns table (orders int) language sql as $$ select 1 $$"),
            (&both[..1], "create procedure p() begin declare orders int; select count(*) into orders from hot; end"),
            (
                &both[..1],
                "create trigger t before insert on hot for each row begin declare orders int; select count(*) into orders from hot; end",
            ),
            (&both[1..], "create policy p on hot using (orders is not distinct from orders)"),
            (&both[1..], "create materialized view mv as select extract(day from log) from hot"),
            (
                &both[1..],
                "with recursive orders(n) as (select 1 union all select n + 1 from orders where n < 3) search depth first by n set s select n from orders",
            ),
            (&both, "select trim(both 's' from status) from hot"),
            (&both[..1], "delete from orders using hot as orders where orders.a = 1"),
            (&both[..1], "delete orders from hot as orders where orders.a = 1"),
            (&both[..1], "select @orders, flashback_read_time from hot"),
            (&both, "insert into hot (files, expire, orders) values ('into orders', 'from log', 'x')"),
        ];
        for (dialects, text) in theirs {
            for dialect in *dialects {
                assert!(!may_own(&node, None, dialect, text), "{text}");
                let long = format!("{text} /* {} */", "x".repeat(LONG_TEXT));
                assert!(!may_own(&node, None, dialect, &long), "long: {text}");
            }
        }
        for text in [
            "select a from hot; select orders.x from orders",
            "lock table orders",
            "insert into hot select * from orders",
            "frobnicate hot; select 1 from orders",
        ] {
            for dialect in &both {
                assert!(may_own(&node, None, dialect, text), "{text}");
                let long = format!("/* {} */ {text}", "x".repeat(LONG_TEXT));
                assert!(may_own(&node, None, dialect, &long), "long: {text}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_a_long_text_only_what_is_ours_is_read() {
        let (node, _dir) = node(&["orders"]).await;
        let client = Client {
            protocol: Protocol::MySql,
            peer: "127.0.0.1:5000".into(),
            user: "root".into(),
            database: None,
            settings: Vec::new(),
            tls: false,
            id: None,
        };
        let mut session = Session::open(Arc::clone(&node), client).await.unwrap();
        for parsed in session.parse("USE shop").unwrap() {
            session.execute(&parsed, &[]).await.unwrap();
        }
        let rows = vec!["(1, 'from orders')"; 2_000].join(", ");
        let hot = format!("insert into hot (orders, files) values {rows}");
        let (read, broken) = session.statements(&format!("set @a = 1; {hot}; select * from orders; frobnicate orders; {hot}"));
        let verbs: Vec<_> = read.iter().map(|parsed| parsed.statement.verb()).collect();
        assert_eq!((verbs.as_slice(), broken.is_none()), (&["SET", "UNSUPPORTED", "SELECT", "UNSUPPORTED", "UNSUPPORTED"][..], true));
        assert_eq!(&*read[1].text, hot.as_str());
        assert!(session.parse_permit_for(&hot).await.unwrap().is_none(), "what is not ours takes no room");
        let cold = format!("insert into orders values {rows}");
        assert!(session.parse_permit_for(&cold).await.unwrap().is_some());
        let (read, broken) = session.statements(&format!("{hot}; selec * from orders; merge into orders using hot on true"));
        assert_eq!((read.len(), broken.map(|error| error.kind())), (2, Some(crate::error::Kind::Unsupported)));
    }
}

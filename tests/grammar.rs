//! Statements derived from `grammar/flashgate.ebnf` parse, print, and parse again to the same, in both languages.
//!
//! `FLASHGATE_SEED=n cargo test --test grammar` repeats a run; a failing statement is shrunk before it is shown.
#![allow(clippy::unwrap_used)] // a test may end by panicking

use std::collections::BTreeMap;

use flashgate::sql::{Dialect, parse, printer};

const PER_LANGUAGE: usize = 4_000;
const MAX_DEPTH: usize = 14;

/// A piece of the grammar.
#[derive(Debug, Clone)]
enum Node {
    Terminal(String),
    Rule(String),
    Lexical(String),
    Sequence(Vec<Node>),
    Choice(Vec<(Only, Node)>),
    Optional(Box<Node>),
    Repeated(Box<Node>),
}

/// The language that a choice belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Only {
    Both,
    MySql,
    Postgres,
}

type Grammar = BTreeMap<String, Node>;

// ---- reading the EBNF ----

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = if rest.starts_with("(*mysql*)") {
            "(*mysql*)".len()
        } else if rest.starts_with("(*postgres*)") {
            "(*postgres*)".len()
        } else if rest.starts_with("(*") {
            let end = rest.find("*)").expect("an open comment") + 2;
            rest = rest[end..].trim_start();
            continue;
        } else if rest.starts_with(['"', '\'', '?']) {
            let quote = &rest[..1];
            rest[1..].find(quote).unwrap_or_else(|| panic!("an open quote at {rest:.40}")) + 2
        } else if rest.starts_with(|c: char| c.is_alphanumeric()) {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            1
        };
        tokens.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    tokens
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn take(&mut self) -> String {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn expect(&mut self, token: &str) {
        assert_eq!(self.take(), token, "around token {} of the grammar: {:?}", self.at, &self.tokens[self.at.saturating_sub(5)..self.at]);
    }

    fn grammar(&mut self) -> Grammar {
        let mut grammar = Grammar::new();
        while !self.peek().is_empty() {
            let name = self.take();
            self.expect("=");
            let node = self.choice();
            self.expect(";");
            assert!(grammar.insert(name.clone(), node).is_none(), "the rule {name} is given twice");
        }
        grammar
    }

    fn choice(&mut self) -> Node {
        let mut choices = vec![self.sequence()];
        while self.peek() == "|" {
            self.take();
            choices.push(self.sequence());
        }
        if choices.len() == 1 && choices[0].0 == Only::Both { choices.remove(0).1 } else { Node::Choice(choices) }
    }

    fn sequence(&mut self) -> (Only, Node) {
        let mut only = Only::Both;
        let mut items = Vec::new();
        loop {
            match self.peek() {
                "(*mysql*)" => {
                    self.take();
                    only = Only::MySql;
                }
                "(*postgres*)" => {
                    self.take();
                    only = Only::Postgres;
                }
                "|" | ";" | ")" | "]" | "}" | "" => return (only, Node::Sequence(items)),
                "(" => {
                    self.take();
                    items.push(self.choice());
                    self.expect(")");
                }
                "[" => {
                    self.take();
                    items.push(Node::Optional(Box::new(self.choice())));
                    self.expect("]");
                }
                "{" => {
                    self.take();
                    items.push(Node::Repeated(Box::new(self.choice())));
                    self.expect("}");
                }
                token if token.starts_with('?') => items.push(Node::Lexical(self.take().trim_matches('?').trim().to_owned())),
                token if token.starts_with(['"', '\'']) => {
                    let token = self.take();
                    items.push(Node::Terminal(token[1..token.len() - 1].to_owned()));
                }
                _ => items.push(Node::Rule(self.take())),
            }
        }
    }
}

fn check_references(grammar: &Grammar, node: &Node) {
    match node {
        Node::Rule(name) => assert!(grammar.contains_key(name), "the grammar has no rule {name}"),
        Node::Sequence(items) => items.iter().for_each(|n| check_references(grammar, n)),
        Node::Choice(items) => items.iter().for_each(|(_, n)| check_references(grammar, n)),
        Node::Optional(n) | Node::Repeated(n) => check_references(grammar, n),
        Node::Terminal(_) | Node::Lexical(_) => {}
    }
}

// ---- deriving statements ----

/// Decisions: given ones first, then random ones (or zeros, when shrinking). Zero is always the simplest.
struct Decisions {
    given: Vec<u32>,
    made: Vec<u32>,
    random: Option<u64>,
}

impl Decisions {
    fn below(&mut self, n: u32) -> u32 {
        let n = n.max(1);
        let decision = match (self.given.get(self.made.len()), &mut self.random) {
            (Some(given), _) => given % n,
            (None, Some(state)) => (split_mix(state) % u64::from(n)) as u32,
            (None, None) => 0,
        };
        self.made.push(decision);
        decision
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Deriver<'a> {
    grammar: &'a Grammar,
    dialect: Dialect,
    decisions: Decisions,
    params: usize,
    out: Vec<String>,
}

impl Deriver<'_> {
    fn node(&mut self, node: &Node, depth: usize) {
        let deep = depth > MAX_DEPTH;
        match node {
            Node::Terminal(text) => {
                let word = text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
                let text = if word && self.decisions.below(4) == 3 { text.to_lowercase() } else { text.clone() };
                self.out.push(text);
            }
            Node::Rule(name) => {
                let grammar = self.grammar;
                self.node(&grammar[name], depth + 1);
            }
            Node::Lexical(what) => {
                let text = self.lexical(what);
                self.out.push(text);
            }
            Node::Sequence(items) => items.iter().for_each(|n| self.node(n, depth)),
            Node::Choice(items) => {
                let mysql = self.dialect.is_mysql();
                let fits: Vec<&Node> =
                    items.iter().filter(|(only, _)| *only == Only::Both || (*only == Only::MySql) == mysql).map(|(_, n)| n).collect();
                if let Some(last) = fits.len().checked_sub(1) {
                    let pick = if deep { 0 } else { self.decisions.below(fits.len() as u32) as usize };
                    self.node(fits[pick.min(last)], depth + 1);
                }
            }
            Node::Optional(inner) => {
                if !deep && self.decisions.below(2) == 1 {
                    self.node(inner, depth + 1);
                }
            }
            Node::Repeated(inner) => {
                let times = if deep { 0 } else { self.decisions.below(3) };
                (0..times).for_each(|_| self.node(inner, depth + 1));
            }
        }
    }

    fn lexical(&mut self, what: &str) -> String {
        let mysql = self.dialect.is_mysql();
        let mut pick = |from: &[&str]| from[self.decisions.below(from.len() as u32) as usize].to_owned();
        match what {
            "name" if mysql => pick(&["t", "oss_orders", "`Order`", "`a``b`", "\u{fc}ber", "of2", "`select`"]),
            "name" => pick(&["t", "oss_orders", "\"Order\"", "\"a\"\"b\"", "\u{fc}ber", "of2", "\"select\""]),
            "string" if mysql => pick(&["'f.orc'", "'it''s'", "\"double\"", "'back\\\\slash'", "'\u{1F600}'", "'line\\n'", "''"]),
            "string" => pick(&["'f.orc'", "'it''s'", "E'tab\\t'", "'back\\slash'", "'\u{1F600}'", "$$dollar$$", "''"]),
            "integer" => pick(&["1", "100", "7085413234999296000", "0"]),
            "timestamp" => pick(&["'2022-07-05 11:11:11'", "'2022-07-05T11:11:11.000001+02:00'", "'2022-07-05'"]),
            "parameter" => {
                self.params += 1;
                if mysql { "?".to_owned() } else { format!("${}", self.params) }
            }
            other => panic!("the grammar's lexical item {other} is unknown"),
        }
    }
}

fn derive(grammar: &Grammar, dialect: Dialect, given: Vec<u32>, random: Option<u64>) -> (String, Vec<u32>) {
    let decisions = Decisions { given, made: Vec::new(), random };
    let mut deriver = Deriver { grammar, dialect, decisions, params: 0, out: Vec::new() };
    deriver.node(&grammar["statement"], 0);
    (deriver.out.join(" "), deriver.decisions.made)
}

// ---- the promise ----

fn check(dialect: &Dialect, text: &str) -> Result<(), String> {
    let read = |text: &str| match parse(dialect, text) {
        Ok(mut all) if all.len() == 1 => Ok(all.remove(0)),
        Ok(all) => Err(format!("{} statements in: {text}", all.len())),
        Err(error) => Err(format!("{error}\n  in: {text}")),
    };
    let first = read(text)?;
    let printed = printer::print(dialect, &first.statement);
    let second = read(&printed).map_err(|e| format!("{e}\n  printed from: {text}"))?;
    if printer::print(dialect, &second.statement) != printed {
        return Err(format!("printed twice, differently:\n  {printed}\n  {}", printer::print(dialect, &second.statement)));
    }
    if first.statement != second.statement || first.params != second.params {
        return Err(format!("not the same after printing:\n  {text}\n  {printed}\n  {:?}\n  {:?}", first.statement, second.statement));
    }
    Ok(())
}

/// Makes decisions smaller as long as the statement still fails.
fn shrink(grammar: &Grammar, dialect: Dialect, mut decisions: Vec<u32>) -> String {
    let fails = |d: &[u32]| {
        let (text, _) = derive(grammar, dialect, d.to_vec(), None);
        check(&dialect, &text).err()
    };
    let mut worst = fails(&decisions).unwrap_or_default();
    for _ in 0..3 {
        for i in (0..decisions.len()).rev() {
            for candidate in [decisions[..i].to_vec(), [&decisions[..i], &[0], decisions.get(i + 1..).unwrap_or_default()].concat()] {
                if candidate != decisions
                    && let Some(message) = fails(&candidate)
                {
                    worst = message;
                    decisions = candidate;
                    break;
                }
            }
            if i >= decisions.len() {
                continue;
            }
        }
    }
    worst
}

fn grammar() -> Grammar {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/grammar/flashgate.ebnf");
    let text = std::fs::read_to_string(path).expect("grammar/flashgate.ebnf");
    let grammar = Reader { tokens: tokens(&text), at: 0 }.grammar();
    grammar.values().for_each(|node| check_references(&grammar, node));
    grammar
}

#[test]
fn every_statement_of_the_grammar_parses_prints_and_parses_again_to_the_same() {
    let seed = std::env::var("FLASHGATE_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64));
    println!("FLASHGATE_SEED={seed}");
    let grammar = grammar();
    for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
        let mut state = seed;
        let mut verbs = BTreeMap::<&str, usize>::new();
        for _ in 0..PER_LANGUAGE {
            let (text, made) = derive(&grammar, dialect, Vec::new(), Some(split_mix(&mut state)));
            if let Err(message) = check(&dialect, &text) {
                panic!("FLASHGATE_SEED={seed} {:?}\n{message}\nshrunk:\n{}", dialect.family, shrink(&grammar, dialect, made));
            }
            let parsed = parse(&dialect, &text).map(|all| all[0].statement.verb()).unwrap_or_default();
            *verbs.entry(parsed).or_default() += 1;
        }
        println!("{:?}: {verbs:?}", dialect.family);
        // A generator that never reaches a family proves nothing.
        for verb in ["ALTER FILESTORAGE", "FLASHBACK TABLE", "ALTER TABLE", "SELECT", "INSERT", "SHOW", "BEGIN", "SET", "CREATE TABLE"] {
            assert!(verbs.get(verb).is_some_and(|n| *n > 10), "{verb} was derived too seldom: {verbs:?}");
        }
    }
}

#[test]
fn what_the_grammar_does_not_derive_is_refused() {
    for text in [
        "ALTER FILESTORAGE OSS",
        "ALTER FILESTORAGE OSS PURGE BEFORE",
        "ALTER FILESTORAGE OSS BACKUP NOW",
        "FLASHBACK TABLE t",
        "PURGE t",
        "SHOW FILES t",
        "CREATE FILESTORAGE OSS",
        "DROP FILESTORAGE",
        "ALTER TABLE t PURGE BEFORE TIMESTAMP '2022-07-05', DROP c",
        "START TRANSACTION AS OF",
        "SET flashback_read_time =",
        "SELECT * FROM t AS OF TSO",
    ] {
        for dialect in [Dialect::MYSQL, Dialect::POSTGRES] {
            assert!(parse(&dialect, text).is_err(), "{text}");
        }
    }
}

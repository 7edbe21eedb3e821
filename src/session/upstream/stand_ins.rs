//! Stand-ins of cold tables: views without rows at the upstream, so that tools that read its catalog find them.
//!
//! The upstream is asked what it has, then told what to do, both on the client's own connection and with its rights; a
//! wire carries the texts there and the rows back. What marks a view as a stand-in, and how its text is made, is here.

use super::{Answer, STAND_IN_COLUMNS, STAND_IN_COMMENT};
use crate::engine::Located;
use crate::error::{Error, Kind, Result};
use crate::session::result_set::{reply, text};
use crate::session::state::Session;
use crate::session::{Outcome, Reply};
use crate::sql::{Name, Parsed, StandIn, Statement};
use crate::types::{Column, Family, SqlType, same};

/// What marks a MySQL view as a stand-in: the alias of its table, followed by the shape of its columns.
pub(super) const ALIAS: &str = "flashgate_stand_in_";
/// The table of such a view: it has columns of any type and never a row, and nothing can be written to it.
const NO_ROWS: &str = "json_table('[]','$[*]'columns(";
const COMMENT_END: &str = ": the rows are in a cold table, read it through Flashgate";

/// The table or view that the upstream has under a name.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) enum UpstreamRelation {
    Nothing,
    /// A stand-in with this shape.
    StandIn(String),
    /// Anything else.
    Other,
}

/// The schema (in MySQL the database) and name of a stand-in at the upstream, and the columns of its cold table, if there is one.
pub(in crate::session) struct StandInLocation {
    pub(in crate::session) schema: String,
    pub(in crate::session) name: String,
    pub(in crate::session) columns: Option<Vec<Column>>,
}

impl Session {
    /// What is to be asked of the upstream before a statement about stand-ins, one text an answer. Texts are ASCII where
    /// the upstream is MySQL, and so are the answers.
    pub fn stand_in_questions(&self, parsed: &Parsed) -> Result<Vec<String>> {
        self.check_rights(&parsed.statement)?;
        match &parsed.statement {
            Statement::StandIn(StandIn::Create { names, .. } | StandIn::Drop { names, .. }) => {
                names.iter().map(|name| Ok(self.relation_question(&self.location(name)?))).collect()
            }
            _ => Ok(vec![
                self.hot_question(),
                match self.family() {
                    Family::MySql => format!(
                        "SELECT HEX(CONVERT(TABLE_SCHEMA USING utf8mb4)), HEX(CONVERT(TABLE_NAME USING utf8mb4)), \
                     HEX(CONVERT(VIEW_DEFINITION USING utf8mb4)) FROM information_schema.VIEWS WHERE LOCATE('{ALIAS}', VIEW_DEFINITION) > 0"
                    ),
                    Family::Postgres => format!(
                        "SELECT n.nspname, c.relname, d.description FROM pg_catalog.pg_class c \
                     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                     JOIN pg_catalog.pg_description d ON d.objoid = c.oid \
                     AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0 \
                     WHERE c.relkind = 'v' AND d.description LIKE '{STAND_IN_COMMENT}%'"
                    ),
                },
            ]),
        }
    }

    /// What is to be run at the upstream, in order, now that it has answered. SHOW needs nothing.
    pub fn stand_in_commands(&mut self, parsed: &Parsed, answers: &[Vec<Answer>]) -> Result<Vec<String>> {
        let Statement::StandIn(stand_in) = &parsed.statement else { return Ok(Vec::new()) };
        let mut commands = Vec::new();
        match stand_in {
            StandIn::Show => self.upstream.stand_ins = answers.concat(),
            StandIn::Create { or_replace, names } => {
                for (name, rows) in names.iter().zip(answers) {
                    commands.extend(self.create_commands(name, *or_replace, rows)?);
                }
            }
            StandIn::Drop { if_exists, names } => {
                for (name, rows) in names.iter().zip(answers) {
                    let location = self.location(name)?;
                    match self.upstream_relation(rows) {
                        UpstreamRelation::StandIn(_) => commands.push(format!("DROP VIEW {}", self.quoted(&location))),
                        UpstreamRelation::Nothing if *if_exists => {
                            self.diagnostics.note(1051, format!("there is no stand-in '{}'", name.name()))
                        }
                        UpstreamRelation::Nothing => {
                            return Err(Error::new(Kind::UnknownTableToDrop, format!("there is no stand-in '{}'", name.name())));
                        }
                        UpstreamRelation::Other => return Err(foreign(&location)),
                    }
                }
            }
        }
        self.upstream.stand_ins_done = true;
        Ok(commands)
    }

    /// The statement itself, when the upstream has done its part.
    pub(in crate::session) fn stand_in(&mut self, stand_in: &StandIn) -> Result<Reply> {
        if !self.has_upstream() {
            return Err(Error::new(Kind::Refused, "stand-ins are views in an upstream, and there is none")
                .with_hint("without an upstream its catalog is Flashgate's own, which has all cold tables"));
        }
        if !std::mem::take(&mut self.upstream.stand_ins_done) {
            return Err(Error::new(Kind::Refused, "a statement about stand-ins must be sent by itself")
                .with_hint("send it in a text of its own, not with others and not by EXECUTE"));
        }
        match stand_in {
            StandIn::Create { .. } => Ok(Reply::Done(Outcome::tag("CREATE STANDIN"))),
            StandIn::Drop { .. } => Ok(Reply::Done(Outcome::tag("DROP STANDIN"))),
            StandIn::Show => self.show_stand_ins(),
        }
    }

    fn show_stand_ins(&mut self) -> Result<Reply> {
        let mut rows = Vec::new();
        for answer in std::mem::take(&mut self.upstream.stand_ins) {
            let [Some(schema), Some(name), text_of_view] = answer.map_hex(self.family()) else { continue };
            let shape = match text_of_view.map(|text| self.recognize(&text)) {
                Some(UpstreamRelation::StandIn(shape)) => shape,
                Some(_) => continue,
                None => {
                    if self.is_hidden(&schema, &name) {
                        rows.push((schema, name, "hides hot"));
                    }
                    continue;
                }
            };
            let Ok(location) = self.location(&Name { parts: vec![schema.clone(), name.clone()] }) else { continue };
            let state = match &location.columns {
                None => "orphan",
                Some(columns) if self.shape(columns) == shape => "current",
                Some(_) => "outdated",
            };
            rows.push((schema, name, state));
        }
        rows.sort();
        reply(
            "SHOW",
            vec![
                text(STAND_IN_COLUMNS[0], rows.iter().map(|row| Some(row.0.clone()))),
                text(STAND_IN_COLUMNS[1], rows.iter().map(|row| Some(row.1.clone()))),
                text(STAND_IN_COLUMNS[2], rows.iter().map(|row| Some(row.2))),
            ],
        )
    }

    /// Where a name's stand-in is.
    fn location(&self, name: &Name) -> Result<StandInLocation> {
        let namespace = self.namespace();
        let Located::Table { database, name: bare } = namespace.locate(&name.parts, |_, _| false)? else {
            return Err(Error::new(Kind::Refused, format!("'{}' is no name of a cold table", name.name())));
        };
        let catalog = self.node.gms.catalog();
        let table = catalog.table(&database, &bare);
        let schema = match self.family() {
            // As the client writes it: to the upstream case may matter.
            Family::MySql => database,
            Family::Postgres => {
                let database = table.map_or(database, |table| table.database.clone());
                let current = namespace.current()?;
                match database.get(current.len()..).and_then(|rest| rest.strip_prefix('.')) {
                    Some(schema) if same(&database[..current.len()], current) => schema.to_owned(),
                    _ => "public".to_owned(),
                }
            }
        };
        Ok(StandInLocation {
            schema,
            name: table.map_or(bare, |table| table.name.clone()),
            columns: table.map(|table| table.columns().to_vec()),
        })
    }

    /// What has the upstream under this name?
    pub(in crate::session) fn relation_question(&self, location: &StandInLocation) -> String {
        match self.family() {
            Family::MySql => {
                // Digits, so that neither the character set nor the sql_mode matters.
                let digits = |text: &str| format!("CONVERT(X'{}' USING utf8mb4)", hex::encode(text));
                let at = format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", digits(&location.schema), digits(&location.name));
                format!(
                    "SELECT (SELECT TABLE_TYPE FROM information_schema.TABLES WHERE {at}), \
                     (SELECT HEX(CONVERT(VIEW_DEFINITION USING utf8mb4)) FROM information_schema.VIEWS WHERE {at}), VERSION()"
                )
            }
            Family::Postgres => format!(
                "SELECT c.relkind::text, pg_catalog.obj_description(c.oid, 'pg_class'), \
                 (SELECT pg_catalog.string_agg(pg_catalog.format('GRANT %s ON %I.%I TO %s%s', a.privilege_type, n.nspname, c.relname, \
                 CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END, \
                 CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END), pg_catalog.chr(1)) \
                 FROM pg_catalog.aclexplode(c.relacl) a WHERE a.grantee <> c.relowner), \
                 CASE WHEN pg_catalog.pg_get_userbyid(c.relowner) <> current_user \
                 THEN pg_catalog.format('ALTER VIEW %I.%I OWNER TO %I', n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner)) END \
                 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = {} AND c.relname = {}",
                literal(&location.schema),
                literal(&location.name)
            ),
        }
    }

    pub(in crate::session) fn upstream_relation(&self, rows: &[Answer]) -> UpstreamRelation {
        let Some(row) = rows.first() else { return UpstreamRelation::Nothing };
        let cell = |at: usize| row.get(at).and_then(Option::as_deref);
        match (self.family(), cell(0), cell(1)) {
            (_, None, _) => UpstreamRelation::Nothing,
            (Family::MySql, Some("VIEW"), Some(digits)) => self.recognize(&unhex(digits)),
            (Family::Postgres, Some("v"), Some(comment)) => self.recognize(comment),
            _ => UpstreamRelation::Other,
        }
    }

    /// Is a view a stand-in? `text`: its definition (MySQL) or its comment (PostgreSQL).
    fn recognize(&self, text: &str) -> UpstreamRelation {
        let shape = match self.family() {
            Family::MySql => {
                let mut plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                plain.make_ascii_lowercase();
                let body = plain.split_once(&format!("from{NO_ROWS}"));
                let shape =
                    body.and_then(|(_, rest)| rest.rsplit_once(ALIAS)).map(|(_, shape)| shape.trim_end_matches(['`', '"']).to_owned());
                shape.filter(|_| plain.starts_with("select"))
            }
            Family::Postgres => text.strip_prefix(STAND_IN_COMMENT).and_then(|rest| rest.strip_suffix(COMMENT_END)).map(str::to_owned),
        };
        match shape {
            Some(shape) if shape.len() == 8 && shape.bytes().all(|b| b.is_ascii_hexdigit()) => UpstreamRelation::StandIn(shape),
            _ => UpstreamRelation::Other,
        }
    }

    fn create_commands(&mut self, name: &Name, or_replace: bool, rows: &[Answer]) -> Result<Vec<String>> {
        let location = self.location(name)?;
        let Some(columns) = &location.columns else {
            return Err(self.no_table(&location.schema, &location.name).with_hint("a stand-in is of a cold table that is there"));
        };
        let mut commands = Vec::new();
        let (quoted, shape) = (self.quoted(&location), self.shape(columns));
        let row = rows.first().map(Vec::as_slice).unwrap_or_default();
        let cell = |at: usize| row.get(at).cloned().flatten();
        let is_there = match self.upstream_relation(rows) {
            UpstreamRelation::Nothing => false,
            UpstreamRelation::StandIn(is) if or_replace && is == shape => return Ok(Vec::new()),
            UpstreamRelation::StandIn(_) if or_replace => true,
            UpstreamRelation::StandIn(_) => {
                return Err(Error::new(Kind::TableExists, format!("the stand-in '{}' already exists", location.name))
                    .with_hint("CREATE OR REPLACE STANDIN makes it again as the table is now"));
            }
            UpstreamRelation::Other => return Err(foreign(&location)),
        };
        match self.family() {
            Family::MySql => {
                let mariadb = cell(2).is_some_and(|version| version.contains("MariaDB"));
                let list: Vec<String> =
                    columns.iter().map(|c| format!("{} {} PATH '$.a'", backquoted(&c.name), mysql_type(&c.ty, mariadb))).collect();
                commands.push(format!(
                    "CREATE {}SQL SECURITY INVOKER VIEW {quoted} AS SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS ({})) AS {ALIAS}{shape}",
                    if is_there { "OR REPLACE " } else { "" },
                    list.join(", ")
                ));
            }
            Family::Postgres => {
                if is_there {
                    // OR REPLACE cannot change columns.
                    commands.push(format!("DROP VIEW {quoted}"));
                }
                let list: Vec<String> =
                    columns.iter().map(|c| format!("CAST(NULL AS {}) AS {}", c.ty.postgres_name(), double_quoted(&c.name))).collect();
                commands.push(format!("CREATE VIEW {quoted} AS SELECT {} WHERE false", list.join(", ")));
                commands.push(format!("COMMENT ON VIEW {quoted} IS '{STAND_IN_COMMENT}{shape}{COMMENT_END}'"));
                // Who might read it, and whose it was.
                commands.extend(cell(2).iter().flat_map(|grants| grants.split('\u{1}').map(str::to_owned).collect::<Vec<_>>()));
                commands.extend(cell(3));
            }
        }
        Ok(commands)
    }

    /// The name at the upstream.
    fn quoted(&self, location: &StandInLocation) -> String {
        let quote = if self.family() == Family::MySql { backquoted } else { double_quoted };
        format!("{}.{}", quote(&location.schema), quote(&location.name))
    }

    /// What tells one shape of columns from another: FNV-1a of names and types.
    fn shape(&self, columns: &[Column]) -> String {
        let type_name = |ty: &SqlType| if self.family() == Family::MySql { mysql_type(ty, false) } else { ty.postgres_name() };
        let bytes = columns.iter().flat_map(|column| format!("{} {},", column.name, type_name(&column.ty)).into_bytes());
        let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        format!("{hash:08x}")
    }
}

/// The cells of an answer as text.
trait Cells {
    fn map_hex(self, family: Family) -> [Option<String>; 3];
}

impl Cells for Answer {
    fn map_hex(self, family: Family) -> [Option<String>; 3] {
        let mut cells = self.into_iter().map(|cell| cell.map(|cell| if family == Family::MySql { unhex(&cell) } else { cell }));
        std::array::from_fn(|_| cells.next().flatten())
    }
}

fn unhex(digits: &str) -> String {
    hex::decode(digits).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn foreign(location: &StandInLocation) -> Error {
    Error::new(
        Kind::TableExists,
        format!("'{}.{}' is in the upstream and is no stand-in, as far as you may see", location.schema, location.name),
    )
    .with_hint("a stand-in is not put in the place of anything else, and nothing else is dropped as one")
}

/// The type of a column of JSON_TABLE.
fn mysql_type(ty: &SqlType, mariadb: bool) -> String {
    const UTF8: &str = " CHARACTER SET utf8mb4";
    let longest = |labels: &[String], all: bool| {
        let lengths = labels.iter().map(|label| label.chars().count());
        if all { lengths.sum::<usize>() + labels.len() } else { lengths.max().unwrap_or(0) }.max(1)
    };
    match ty {
        // MariaDB takes neither there, and a backslash in a label would depend on the sql_mode.
        SqlType::Enum { labels } | SqlType::Set { labels } if mariadb || labels.iter().any(|label| label.contains('\\')) => {
            format!("varchar({}){UTF8}", longest(labels, matches!(ty, SqlType::Set { .. })))
        }
        SqlType::Char { .. } | SqlType::VarChar { .. } | SqlType::Text | SqlType::Enum { .. } | SqlType::Set { .. } | SqlType::Uuid => {
            format!("{}{UTF8}", ty.mysql_name())
        }
        ty => ty.mysql_name(),
    }
}

fn backquoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn double_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text for PostgreSQL, whatever standard_conforming_strings says.
pub(in crate::session) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_mariadb_takes_not_in_json_table_become_texts_that_hold_them() {
        let labels = vec!["a".to_owned(), "long".to_owned()];
        assert_eq!(mysql_type(&SqlType::Enum { labels: labels.clone() }, false), "enum('a','long') CHARACTER SET utf8mb4");
        assert_eq!(mysql_type(&SqlType::Enum { labels: labels.clone() }, true), "varchar(4) CHARACTER SET utf8mb4");
        assert_eq!(mysql_type(&SqlType::Set { labels }, true), "varchar(7) CHARACTER SET utf8mb4");
        assert_eq!(mysql_type(&SqlType::Enum { labels: vec!["a\\".into()] }, false), "varchar(2) CHARACTER SET utf8mb4");
        assert_eq!(mysql_type(&SqlType::Uuid, true), "char(36) CHARACTER SET utf8mb4");
        assert_eq!(mysql_type(&SqlType::Bool, true), "tinyint(1)");
    }
}

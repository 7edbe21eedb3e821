//! sqlparser dialects for the two languages: MySQL's as a session's sql_mode has it, PostgreSQL's as it is.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr};
use datafusion::sql::sqlparser::dialect::{Dialect as ParserDialect, MySqlDialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::statement::{Dialect, Family};

/// The sqlparser dialect for `dialect`.
pub(super) fn of(dialect: &Dialect) -> Box<dyn ParserDialect> {
    match dialect.family {
        Family::MySql => Box::new(super::lexer::mysql_text(dialect)),
        Family::Postgres => Box::new(PostgreSqlDialect {}),
    }
}

/// MySQL with the modes that change how text is read.
#[derive(Debug)]
pub(super) struct MySqlText {
    pub ansi_quotes: bool,
    pub backslash_escapes: bool,
}

/// What sqlparser's own MySQL dialect says about everything else.
const BASE: MySqlDialect = MySqlDialect {};

macro_rules! as_mysql {
    ($($name:ident)*) => { $(fn $name(&self) -> bool { BASE.$name() })* };
}

impl ParserDialect for MySqlText {
    /// sqlparser asks "is this MySQL?" by type.
    fn dialect(&self) -> TypeId {
        TypeId::of::<MySqlDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || (ch == '"' && self.ansi_quotes)
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('`')
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        self.backslash_escapes
    }

    /// Our lexer reads `/*! .. */` itself, to know their places.
    fn supports_multiline_comment_hints(&self) -> bool {
        false
    }

    as_mysql! {
        supports_string_literal_concatenation ignores_wildcard_escapes supports_numeric_prefix
        supports_bitwise_shift_operators require_interval_qualifier supports_limit_comma supports_create_table_select
        supports_insert_set supports_user_host_grantee supports_table_hints requires_single_line_comment_whitespace
        supports_match_against supports_select_modifiers supports_set_names supports_comma_separated_set_assignments
        supports_update_order_by supports_data_type_signed_suffix supports_cross_join_constraint
        supports_double_ampersand_operator supports_binary_kw_as_cast supports_comment_optimizer_hint
        supports_constraint_keyword_without_name supports_key_column_option
    }

    /// `!a`.
    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    /// `GROUP BY a WITH ROLLUP`.
    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn is_table_factor_alias(&self, explicit: bool, keyword: &Keyword, parser: &mut Parser) -> bool {
        BASE.is_table_factor_alias(explicit, keyword, parser)
    }

    /// `a DIV b` and `a MOD b` bind like `*`.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let op = match parser.parse_one_of_keywords(&[Keyword::DIV, Keyword::MOD])? {
            Keyword::DIV => BinaryOperator::MyIntegerDivide,
            _ => BinaryOperator::Modulo,
        };
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(right) }))
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        if parser.peek_keyword(Keyword::XOR) {
            // Looser than AND, tighter than OR.
            return Some(Ok(self.prec_value(Precedence::Or) + 1));
        }
        parser.peek_keyword(Keyword::MOD).then(|| Ok(self.prec_value(Precedence::MulDivModOp)))
    }
}

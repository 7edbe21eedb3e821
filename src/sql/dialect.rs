//! sqlparser dialects for the two languages: MySQL's as a session's sql_mode has it, PostgreSQL's as it is. Both bound
//! the work that one statement may take.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{BinaryOperator, CastKind, DataType, Expr, UnaryOperator};
use datafusion::sql::sqlparser::dialect::{Dialect as ParserDialect, MySqlDialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::language::{Dialect, Family};

/// The sqlparser dialect for `dialect`, for a text of `tokens` tokens.
pub(super) fn of(dialect: &Dialect, tokens: usize) -> Box<dyn ParserDialect> {
    let effort = Effort::for_tokens(tokens);
    match dialect.family {
        Family::MySql => Box::new(MySqlText {
            effort,
            ansi_quotes: dialect.ansi_quotes,
            pipes_as_concat: dialect.pipes_as_concat,
            backslash_escapes: !dialect.no_backslash_escapes,
        }),
        Family::Postgres => Box::new(PostgresText { effort, backslash_escapes: !dialect.no_backslash_escapes }),
    }
}

/// How many expressions may still be begun. sqlparser tries one reading after another and goes back; where subqueries
/// nest in a text that is wrong, each level may double the tries, and 400 bytes would keep a core busy for an hour.
#[derive(Debug)]
pub(super) struct Effort(Cell<usize>);

impl Effort {
    /// Expressions that any text may begin, and those that each token adds.
    const BASE: usize = 20_000;
    const PER_TOKEN: usize = 20;

    fn for_tokens(tokens: usize) -> Self {
        Self(Cell::new(Self::BASE.saturating_add(tokens.saturating_mul(Self::PER_TOKEN))))
    }

    /// One more expression begins; an error that sqlparser does not go back from when there were too many.
    fn spend(&self) -> Option<ParserError> {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        (left == 0).then_some(ParserError::RecursionLimitExceeded)
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self::for_tokens(0)
    }
}

/// MySQL with the modes that change how text is read.
#[derive(Debug, Default)]
pub(super) struct MySqlText {
    pub effort: Effort,
    pub ansi_quotes: bool,
    pub pipes_as_concat: bool,
    pub backslash_escapes: bool,
}

/// The step of what binds tighter than any operator with two sides.
const TIGHTEST: u8 = 45;

/// What sqlparser's own MySQL dialect says about everything else.
const BASE: MySqlDialect = MySqlDialect {};

macro_rules! as_in {
    ($base:expr => $($name:ident)*) => { $(fn $name(&self) -> bool { $base.$name() })* };
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

    as_in! { BASE =>
        supports_string_literal_concatenation ignores_wildcard_escapes supports_numeric_prefix
        supports_bitwise_shift_operators require_interval_qualifier supports_limit_comma supports_create_table_select
        supports_insert_set supports_user_host_grantee supports_table_hints requires_single_line_comment_whitespace
        supports_match_against supports_select_modifiers supports_set_names supports_comma_separated_set_assignments
        supports_update_order_by supports_data_type_signed_suffix supports_cross_join_constraint
        supports_double_ampersand_operator supports_binary_kw_as_cast supports_comment_optimizer_hint
        supports_constraint_keyword_without_name supports_key_column_option
    }

    /// `EXTRACT(YEAR_MONTH FROM d)`.
    fn allow_extract_custom(&self) -> bool {
        true
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

    /// `!a` and `BINARY a` bind tighter than any operator.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Some(error) = self.effort.spend() {
            return Some(Err(error));
        }
        if parser.consume_token(&Token::ExclamationMark) {
            let inner = parser.parse_subexpr(TIGHTEST);
            return Some(inner.map(|expr| Expr::UnaryOp { op: UnaryOperator::BangNot, expr: Box::new(expr) }));
        }
        // The signs bind tighter than `^`, which binds tighter than `*`.
        for (token, op) in [(Token::Minus, UnaryOperator::Minus), (Token::Tilde, UnaryOperator::BitwiseNot)] {
            if parser.consume_token(&token) {
                let inner = parser.parse_subexpr(self.prec_value(Precedence::MulDivModOp) + 1);
                return Some(inner.map(|expr| Expr::UnaryOp { op, expr: Box::new(expr) }));
            }
        }
        let cast = parser.peek_keyword(Keyword::BINARY) && parser.peek_nth_token_ref(1).token != Token::LParen;
        if cast && parser.parse_keyword(Keyword::BINARY) {
            let inner = parser.parse_subexpr(TIGHTEST);
            return Some(inner.map(|expr| Expr::Cast {
                kind: CastKind::Cast,
                expr: Box::new(expr),
                data_type: DataType::Binary(None),
                array: false,
                format: None,
            }));
        }
        None
    }

    /// All comparisons stand on one step.
    fn prec_value(&self, precedence: Precedence) -> u8 {
        match precedence {
            Precedence::Like | Precedence::Is => BASE.prec_value(Precedence::Eq),
            other => BASE.prec_value(other),
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            // `||` is OR; as a concatenation (PIPES_AS_CONCAT) it would bind tighter than `^`.
            Token::StringConcat if self.pipes_as_concat => return Some(Ok(TIGHTEST - 1)),
            Token::StringConcat => return Some(Ok(self.prec_value(Precedence::Or))),
            Token::Overlap => return Some(Ok(self.prec_value(Precedence::And))),
            Token::Caret => return Some(Ok(self.prec_value(Precedence::MulDivModOp) + 1)),
            Token::ShiftLeft | Token::ShiftRight => return Some(Ok(self.prec_value(Precedence::PlusMinus) - 1)),
            _ => {}
        }
        if parser.peek_keyword(Keyword::XOR) {
            // Looser than AND, tighter than OR.
            return Some(Ok(self.prec_value(Precedence::Or) + 1));
        }
        parser.peek_keyword(Keyword::MOD).then(|| Ok(self.prec_value(Precedence::MulDivModOp)))
    }
}

/// PostgreSQL.
#[derive(Debug, Default)]
pub(super) struct PostgresText {
    effort: Effort,
    /// standard_conforming_strings is off.
    backslash_escapes: bool,
}

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};

impl ParserDialect for PostgresText {
    /// sqlparser asks "is this PostgreSQL?" by type.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRES.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        POSTGRES.is_reserved_for_identifier(keyword)
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        self.backslash_escapes
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRES.is_custom_operator_part(ch)
    }

    as_in! { POSTGRES =>
        supports_unicode_string_literal supports_filter_during_aggregation supports_group_by_expr allow_extract_custom
        allow_extract_single_quotes supports_create_index_with_clause supports_explain_with_utility_options
        supports_listen_notify supports_factorial_operator supports_bitwise_shift_operators supports_comment_on
        supports_load_extension supports_named_fn_args_with_colon_operator supports_named_fn_args_with_expr_name
        supports_empty_projections supports_nested_comments supports_string_escape_constant
        supports_numeric_literal_underscores supports_array_typedef_with_brackets supports_geometric_types
        supports_set_names supports_alter_column_type_using supports_notnull_operator supports_interval_options
        supports_insert_table_alias supports_create_table_like_parenthesized supports_select_wildcard_with_alias
        supports_comma_separated_trim supports_xml_expressions supports_comment_optimizer_hint
    }

    fn parse_prefix(&self, _parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        self.effort.spend().map(Err)
    }

    fn prec_value(&self, precedence: Precedence) -> u8 {
        POSTGRES.prec_value(precedence)
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        POSTGRES.get_next_precedence(parser)
    }
}

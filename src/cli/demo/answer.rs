//! What a client got: printed as a table, and checked against what the story promises.

use std::fmt;

use crate::cli::Failure;

/// Wider cells are cut when printed, in characters.
const WIDEST: usize = 88;

/// The answer to one statement.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    /// The statement.
    pub sql: String,
    /// Column labels; empty: no result set.
    pub columns: Vec<String>,
    /// Rows as text; None: NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows changed.
    pub affected: u64,
    /// Code and message of an error.
    pub error: Option<(String, String)>,
}

impl Answer {
    /// It is no error.
    pub fn done(self) -> Result<Answer, Failure> {
        match &self.error {
            None => Ok(self),
            Some(_) => Err(self.wrong("no error")),
        }
    }

    /// It is these rows, in this order.
    pub fn is(self, rows: &[&[&str]]) -> Result<Answer, Failure> {
        let mut answer = self.done()?;
        let text = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
        let got: Vec<Vec<String>> = answer.rows.iter().map(|row| row.iter().map(text).collect()).collect();
        if got == rows {
            return Ok(answer);
        }
        let wanted = rows.iter().map(|row| row.iter().map(|cell| Some((*cell).to_owned())).collect()).collect();
        let got = std::mem::replace(&mut answer.rows, wanted);
        let wanted = answer.to_string();
        answer.rows = got;
        Err(answer.wrong(&wanted))
    }

    /// It is these rows, in the order of their first cell as a number.
    pub fn in_order_is(mut self, rows: &[&[&str]]) -> Result<Answer, Failure> {
        self.rows.sort_by_key(|row| row.first().cloned().flatten().and_then(|id| id.parse::<i64>().ok()));
        self.is(rows)
    }

    /// Some cell holds this text.
    pub fn shows(self, text: &str) -> Result<Answer, Failure> {
        let answer = self.done()?;
        let found = answer.rows.iter().flatten().flatten().any(|cell| cell.contains(text));
        if found { Ok(answer) } else { Err(answer.wrong(&format!("a cell with '{text}'"))) }
    }

    /// So many rows were changed.
    pub fn changed(self, rows: u64) -> Result<Answer, Failure> {
        let answer = self.done()?;
        if answer.affected == rows { Ok(answer) } else { Err(answer.wrong(&format!("{rows} rows changed"))) }
    }

    /// It is an error with this code, and its message holds this text.
    pub fn fails(self, code: &str, text: &str) -> Result<(), Failure> {
        match &self.error {
            Some((got, message)) if got == code && message.contains(text) => Ok(()),
            _ => Err(self.wrong(&format!("error {code} with '{text}'"))),
        }
    }

    /// The first cell of the first row.
    pub fn first(&self) -> Result<String, Failure> {
        match self.rows.first().and_then(|row| row.first()) {
            Some(Some(cell)) => Ok(cell.clone()),
            _ => Err(self.wrong("a value")),
        }
    }

    fn wrong(&self, wanted: &str) -> Failure {
        Failure::Failed(format!("the tour went wrong at\n  {}\nwanted: {wanted}\ngot: {self}", self.sql))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((code, message)) = &self.error {
            return writeln!(f, "ERROR {code}: {message}");
        }
        if self.columns.is_empty() {
            return writeln!(f, "OK, {} changed", count(self.affected));
        }
        let cell = |cell: &Option<String>| cut(cell.as_deref().unwrap_or("NULL"));
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        let width = |i: usize| {
            let cells = rows.iter().filter_map(|row| row.get(i)).chain(self.columns.get(i));
            cells.map(|c| c.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let rule: String = widths.iter().map(|w| format!("+{}", "-".repeat(w + 2))).collect::<String>() + "+";
        let line = |cells: &[String]| widths.iter().zip(cells).map(|(w, c)| format!("| {c:<w$} ")).collect::<String>() + "|";
        writeln!(f, "{rule}\n{}\n{rule}", line(&self.columns))?;
        for row in &rows {
            writeln!(f, "{}", line(row))?;
        }
        if !rows.is_empty() {
            writeln!(f, "{rule}")?;
        }
        writeln!(f, "{}", count(rows.len() as u64))
    }
}

fn count(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

/// One line, not too wide.
fn cut(text: &str) -> String {
    let text = text.replace('\n', " ");
    if text.chars().count() <= WIDEST { text } else { text.chars().take(WIDEST - 2).chain("..".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: &[&[&str]]) -> Answer {
        Answer {
            sql: "SELECT 1".into(),
            columns: vec!["a".into(), "bee".into()],
            rows: rows.iter().map(|r| r.iter().map(|c| Some((*c).to_owned())).collect()).collect(),
            ..Answer::default()
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = answer(&[&["1", "x"], &["12345", "y"]]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "+-------+-----+");
        assert_eq!(lines[1], "| a     | bee |");
        assert_eq!(lines[4], "| 12345 | y   |");
        assert_eq!(lines.last(), Some(&"2 rows"));
    }

    #[test]
    fn an_answer_that_differs_fails_the_tour() {
        assert!(answer(&[&["1", "x"]]).is(&[&["1", "x"]]).is_ok());
        assert!(answer(&[&["1", "x"]]).is(&[&["1", "y"]]).is_err());
        assert!(answer(&[&["1", "x"]]).is(&[]).is_err());
        let error = Answer { error: Some(("8055".into(), "snapshot too old".into())), ..answer(&[]) };
        assert!(error.clone().is(&[]).is_err());
        assert!(error.clone().fails("8055", "too old").is_ok());
        assert!(error.fails("1064", "too old").is_err());
        assert!(answer(&[]).fails("8055", "").is_err());
    }
}

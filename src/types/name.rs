//! Names of databases, tables and columns: kept as written, compared without case on both wires.

/// The form in which names are compared and looked up.
pub fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// Do two names mean the same?
pub fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || fold(a) == fold(b)
}

/// LIKE over names, without case: `%` stands for any characters, `_` for one, and a backslash before a character means
/// that character. A backslash at the end means itself, as in MySQL.
///
/// One pass: when a part does not fit, only the last `%` takes one more character. Steps grow with the product of both
/// lengths at most.
pub fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = fold(text).chars().collect();
    let pattern = PatternPart::of(&fold(pattern));
    let (mut at, mut next) = (0, 0);
    // Behind the last `%`: where the pattern goes on, and where the text did.
    let mut last: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(next) {
            Some(PatternPart::Any) => {
                next += 1;
                last = Some((next, at));
                continue;
            }
            Some(PatternPart::One) => {}
            Some(PatternPart::Is(wanted)) if *wanted == text[at] => {}
            _ => {
                let Some((after, taken)) = last else { return false };
                last = Some((after, taken + 1));
                (next, at) = (after, taken + 1);
                continue;
            }
        }
        (next, at) = (next + 1, at + 1);
    }
    pattern[next..].iter().all(|wanted| *wanted == PatternPart::Any)
}

/// A part of a pattern.
#[derive(PartialEq)]
enum PatternPart {
    Any,
    One,
    Is(char),
}

impl PatternPart {
    fn of(pattern: &str) -> Vec<PatternPart> {
        let mut chars = pattern.chars();
        let mut parts = Vec::with_capacity(pattern.len());
        while let Some(c) = chars.next() {
            parts.push(match c {
                '%' => PatternPart::Any,
                '_' => PatternPart::One,
                '\\' => PatternPart::Is(chars.next().unwrap_or('\\')),
                other => PatternPart::Is(other),
            });
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_as_like_does() {
        for (text, pattern, fits) in [
            ("", "", true),
            ("", "%", true),
            ("a", "", false),
            ("abc", "a%", true),
            ("abc", "%C", true),
            ("abc", "a_c", true),
            ("ac", "a_c", false),
            ("abc", "%b%", true),
            ("aab", "%ab", true),
            ("abab", "a%b_", false),
            ("x%", "x\\%", true),
            ("xy", "x\\%", false),
            ("a_b", "a\\_b", true),
            ("acb", "a\\_b", false),
            ("a\\", "a\\", true),
            ("a\\b", "a\\\\b", true),
            ("\u{e9}t\u{e9}", "\u{c9}_\u{c9}", true),
        ] {
            assert_eq!(like(text, pattern), fits, "{text} LIKE {pattern}");
        }
    }

    /// With a step for every way to deal the characters out, this one would not end in a lifetime.
    #[test]
    fn a_pattern_of_many_percent_signs_is_matched_in_one_pass() {
        let text = "a".repeat(2000);
        assert!(!like(&text, &format!("{}b", "%a".repeat(200))));
        assert!(like(&text, &format!("{}%", "%a".repeat(200))));
    }
}

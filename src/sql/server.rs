//! Which comments are code to which server: `/*!40101 .. */` is code to servers from that version on, `/*M! .. */` to MariaDB alone.

/// A server of MySQL's family, as far as its reading of comments goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Server {
    pub mariadb: bool,
    /// 10.11.6 is 101106.
    pub version: u32,
}

impl Server {
    /// What Flashgate itself reads.
    pub const OWN: Server = Server { mariadb: false, version: 80_099 };

    /// By the version that a server greets with. MariaDB before 11 puts `5.5.5-` before its own.
    pub fn of_version(text: &str) -> Server {
        let mariadb = text.to_ascii_lowercase().contains("mariadb");
        let text = if mariadb { text.strip_prefix("5.5.5-").unwrap_or(text) } else { text };
        let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().ok().filter(|part| *part < 100));
        match (parts.next().flatten(), parts.next().flatten(), parts.next().flatten()) {
            (Some(major), Some(minor), patch) => Server { mariadb, version: major * 10_000 + minor * 100 + patch.unwrap_or(0) },
            _ => Server { mariadb, ..Server::OWN },
        }
    }

    /// Is `$tag$ .. $tag$` a string? MySQL reads it since version 9, where it holds the bodies of routines of other languages.
    pub fn has_dollar_quotes(self) -> bool {
        !self.mariadb && self.version >= 90_000
    }

    /// Where the code begins in what stands after `/*`; None: it is a comment. Both servers want five digits or six, and
    /// less is no version (MariaDB: sql/sql_lex.cc; MySQL: sql/sql_lex.cc, where a sixth wants a space after it).
    pub fn code_in(self, comment: &[u8]) -> Option<usize> {
        let (own, marker) = match comment {
            [b'!', ..] => (false, 1),
            [b'M', b'!', ..] if self.mariadb => (true, 2),
            _ => return None,
        };
        let digits = comment[marker..].iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
        let space = comment.get(marker + 6).is_some_and(u8::is_ascii_whitespace);
        let digits = match digits {
            6 if self.mariadb || space => 6,
            5 | 6 => 5,
            _ => return Some(marker),
        };
        let version = comment[marker..marker + digits].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
        // MariaDB takes no code of MySQL's versions that it does not follow.
        let foreign = self.mariadb && !own && (50_700..100_000).contains(&version);
        (version <= self.version && !foreign).then_some(marker + digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_greetings() {
        for (text, mariadb, version) in [
            ("10.11.6-MariaDB-0+deb12u1", true, 101_106),
            ("5.5.5-10.5.23-MariaDB-log", true, 100_523),
            ("11.8.2-MariaDB", true, 110_802),
            ("9.7.4-2", false, 90_704),
            ("8.0.40-flashgate", false, 80_040),
            ("5.5.5", false, 50_505),
            ("8.4", false, 80_400),
        ] {
            assert_eq!(Server::of_version(text), Server { mariadb, version }, "{text}");
        }
        assert_eq!(Server::of_version("nonsense"), Server::OWN);
        assert_eq!(Server::of_version("").version, Server::OWN.version);
    }

    #[test]
    fn comments_are_code_to_the_servers_that_really_run_them() {
        // As MariaDB 10.11.19 and MySQL 9.7.4 answered SELECT 1 followed by the comment.
        let servers = [Server { mariadb: true, version: 101_119 }, Server { mariadb: false, version: 90_704 }];
        for (comment, want) in [
            ("! +1", [Some(1), Some(1)]),
            ("!40101 +1", [Some(6), Some(6)]),
            ("!50699 +1", [Some(6), Some(6)]),
            ("!50700 +1", [None, Some(6)]),
            ("!80000 +1", [None, Some(6)]),
            ("!90799 +1", [None, None]),
            ("!99999 +1", [None, None]),
            ("!090700 +1", [None, Some(7)]),
            ("!0907001 +1", [None, Some(6)]),
            ("!100000 +1", [Some(7), None]),
            ("!101199 +1", [None, None]),
            ("!4010 +1", [Some(1), Some(1)]),
            ("!40101+1", [Some(6), Some(6)]),
            ("!401011 +1", [None, None]),
            ("!4010123 +1", [None, Some(6)]),
            ("!08000 +1", [Some(6), Some(6)]),
            ("M! +1", [Some(2), None]),
            ("M!100100 +1", [Some(8), None]),
            ("M!50701 +1", [Some(7), None]),
            ("M!110000 +1", [None, None]),
            ("m!100100 +1", [None, None]),
            (" !+1", [None, None]),
            ("+ hint ", [None, None]),
            ("", [None, None]),
        ] {
            assert_eq!(servers.map(|server| server.code_in(comment.as_bytes())), want, "{comment}");
        }
    }
}

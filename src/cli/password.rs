//! Where a new password comes from: stdin, FLASHGATE_PASSWORD, or a prompt. Never from an argument, which every user
//! of the machine could read.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::process::{Command, Stdio};

use super::Failure;

/// Longest password that is taken, in bytes.
const LONGEST: u64 = 1024;

/// A new password; `from_stdin` reads the first line of stdin.
pub(super) fn new_password(user: &str, from_stdin: bool) -> Result<String, Failure> {
    let password = if from_stdin {
        first_line(std::io::stdin().lock())?
    } else if let Ok(password) = std::env::var("FLASHGATE_PASSWORD") {
        password
    } else {
        ask(user)?
    };
    check(password)
}

fn first_line(source: impl Read) -> Result<String, Failure> {
    let mut text = String::new();
    source.take(LONGEST + 2).read_to_string(&mut text).map_err(|_| Failure::Usage("the password on stdin is not UTF-8".into()))?;
    Ok(text.split('\n').next().unwrap_or_default().trim_end_matches('\r').to_owned())
}

fn check(password: String) -> Result<String, Failure> {
    if password.is_empty() {
        return Err(Failure::Usage("the password is empty; give one".into()));
    }
    if password.len() as u64 > LONGEST {
        return Err(Failure::Usage(format!("the password is longer than {LONGEST} bytes")));
    }
    if password.chars().any(|c| c == '\0' || c == '\n') {
        return Err(Failure::Usage("the password holds a zero byte or a line break".into()));
    }
    Ok(password)
}

fn ask(user: &str) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("there is no terminal to ask for a password; use --password-stdin or FLASHGATE_PASSWORD".into()));
    }
    let password = prompt(&format!("New password for {user}: "))?;
    if password != prompt("The same again: ")? {
        return Err(Failure::Usage("the passwords differ; nothing was changed".into()));
    }
    Ok(password)
}

/// Reads a line of the terminal without showing it. A shell does it, because switching the echo off is a call that
/// Rust's library does not have; its trap switches it on again when the user presses Ctrl-C.
fn prompt(text: &str) -> Result<String, Failure> {
    const SCRIPT: &str = "printf '%s' \"$1\" >/dev/tty; trap 'stty echo; echo >/dev/tty; exit 130' INT TERM; stty -echo; \
                          IFS= read -r line; stty echo; echo >/dev/tty; printf '%s' \"$line\"";
    let terminal = File::open("/dev/tty")?;
    let output = Command::new("sh").args(["-c", SCRIPT, "sh", text]).stdin(terminal).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(Failure::Failed("no password was read".into()));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::Usage("the password is not UTF-8".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_password_with_its_spaces() {
        assert_eq!(first_line(" pass word \r\nmore\n".as_bytes()).unwrap(), " pass word ");
        assert_eq!(first_line("x".as_bytes()).unwrap(), "x");
        assert!(first_line(&[0xFF, b'\n'][..]).is_err());
    }

    #[test]
    fn an_empty_or_endless_password_is_wrong_usage() {
        for wrong in [String::new(), "x".repeat(2000), "a\0b".into()] {
            assert!(matches!(check(wrong), Err(Failure::Usage(_))));
        }
    }
}

"""The five minutes of README.md, statement by statement, through the clients that it names, with the answers that it prints."""

import os
import re
import shlex
import shutil
import subprocess

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text()
TOUR = README.split("\n## Five minutes\n", 1)[1].split("\n## ", 1)[0]
PROMPTS = {"mysql> ": "mysql", "demo=> ": "psql"}
# Widths stay, so that the layout of a table is compared too.
BIN = re.compile(r"FILE_STORAGE_BIN_[0-9A-Z]{20}\b")
TODAY = re.compile(r"\b20(2[6-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d:\d\d\b")
TAGS = re.compile(r"SET|RESET|DROP TABLE|FLASHBACK( TABLE)?|Query OK, 0 rows affected")


def blocks():
    """The console blocks in their order: (client, [(statement, lines of its answer)])."""
    out = []
    for text in re.findall(r"^```\n(.*?)^```$", TOUR, re.M | re.S):
        client, steps, open_statement = PROMPTS[text[:7]], [], False
        for line in text.splitlines():
            if line[:7] in PROMPTS:
                assert PROMPTS[line[:7]] == client and not open_statement, line
                steps.append(([line[7:]], []))
                open_statement = True
            elif open_statement:
                steps[-1][0].append(line)
            else:
                steps[-1][1].append(line)
            open_statement = open_statement and not re.sub(r"\s+-- .*", "", line).endswith(";")
        out.append((client, [("\n".join(statement), [line for line in answer if line.strip()]) for statement, answer in steps]))
    return out


def connect_command(server, client):
    """The line that README says to connect with, at this server's port."""
    (line,) = re.findall(rf"^    ({client} .*)$", TOUR, re.M)
    (_, port), default = (server.mysql, "3307") if client == "mysql" else (server.postgres, "5433")
    assert line.count(default) == 1, line
    words = shlex.split(line.replace(default, str(port)))
    return [shutil.which("mysql") or shutil.which("mariadb"), *words[1:]] if client == "mysql" else words


def answers(server, client, statements):
    """What the client prints for each statement of one session."""
    command = connect_command(server, client)
    if client == "mysql":
        # No option file of this user's; -vv prints what a terminal would show, after each statement between two lines of dashes.
        command = [command[0], "--no-defaults", *command[1:], "--table", "-vv", "--force"]
        script = "\n".join(statements)
    else:
        command = [*command, "-X", "-v", "ON_ERROR_STOP=0"]
        script = "\n".join(f"\\echo -----mark\n{statement}" for statement in statements)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(command, input=script + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, env=env)
    if client == "mysql":
        parts = re.split(r"^--------------\n.*?^--------------\n", done.stdout, flags=re.M | re.S)
    else:
        parts = done.stdout.split("-----mark\n")
    assert parts[0].strip() == "" and len(parts) == len(statements) + 1, done.stdout
    footer = re.compile(r"\(\d+ rows?\)|\d+ rows? in set|Records: .*|Bye|")
    return [[line.rstrip() for line in part.splitlines() if not footer.fullmatch(line.strip())] for part in parts[1:]]


def masked(lines, statement):
    out = [TODAY.sub(lambda m: "T" * len(m[0]), BIN.sub(lambda m: "B" * len(m[0]), line)).rstrip() for line in lines]
    ordered = not statement.startswith("SELECT") or "ORDER BY" in statement
    return out if ordered else sorted(out)


def words(lines):
    return " ".join(" ".join(lines).split())


def compare(statement, shown, got):
    if not shown:
        assert len(got) == 1 and TAGS.fullmatch(got[0]), f"{statement}\nanswered {got}"
    elif shown[0].startswith("ERROR"):
        # README breaks a long sentence and ends it with two dots.
        want = ".*".join(re.escape(part) for part in re.split(r" \.\.(?= |$)", words(shown)))
        assert re.fullmatch(want, words(got)), f"{statement}\nanswered {words(got)}\nREADME   {words(shown)}"
    else:
        assert masked(got, statement) == masked(shown, statement), f"{statement}\nanswered\n" + "\n".join(got) + "\nREADME\n" + "\n".join(shown)


def test_every_statement_of_the_readmes_tour_answers_what_the_readme_prints(start):
    # `make run` starts it so; the times of the tour are UTC.
    assert re.search(r"^run:\n\t.*cargo run .*-- demo\b", (ROOT / "Makefile").read_text(), re.M)
    server = start(verb="demo", env={"TZ": "UTC"})
    assert re.sub(r":\d+\b", ":N", server.ready_line) in [re.sub(r":\d+\b", ":N", line.strip()) for line in README.splitlines()]
    sessions = []
    for client, steps in blocks():
        if sessions and sessions[-1][0] == client:
            sessions[-1][1].extend(steps)
        else:
            sessions.append((client, list(steps)))
    assert [client for client, _ in sessions] == ["mysql", "psql"] and sum(len(steps) for _, steps in sessions) >= 20
    failures = []
    for client, steps in sessions:
        for (statement, shown), got in zip(steps, answers(server, client, [statement for statement, _ in steps]), strict=True):
            try:
                compare(statement, shown, got)
            except AssertionError as error:
                failures.append(str(error))
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("client", ["mysql", "psql"])
def test_the_readmes_first_statement_answers_on_a_fresh_demo_in_either_client(start, client):
    (statement,) = re.findall(r"^```sql\n(.*?)\n```$", README, re.M | re.S)
    server = start(verb="demo", env={"TZ": "UTC"})
    (got,) = answers(server, client, [statement + ";"])
    ids = sorted(int(m[1]) for m in (re.match(r"\|?\s*(\d+) \|\s+100 \|", line) for line in got) if m)
    assert ids == [1, 8, 14, 20, 23], got

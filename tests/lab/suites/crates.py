"""Builds the Rust drivers' own tests, as their crates ship them, into the cache: one folder of everything for each state of this and of rust/.

What runs is the workspace in rust/ with three crates' sources laid into it and, in them, the SUBSTITUTIONS below. Not run are: of sqlx
macros.rs and one test of derives.rs, whose `query!` asks a database when it is compiled, rustsec.rs, which sends 4 GiB, and the tests of
`Any`; of tokio-postgres the types of crates in further versions (chrono, time, uuid and others run); of mysql_async the replication
stream and compression, which Flashgate does not have. rust/sqlx/tests/lib.rs stands in for sqlx's unpublished test helpers.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
WORKSPACE = HERE / "rust"
# name -> (version, what of its folder is laid into the workspace's folder of that name).
CRATES = {"mysql_async": ("0.37.1", ("Cargo.toml", "src")), "sqlx": ("0.8.6", ("tests",)), "tokio-postgres": ("0.7.18", ("tests",))}
# (file, pattern, replacement, how often). The address is known only when the tests run, so each way is given it in the environment.
SUBSTITUTIONS = [
    # zlib would need its headers and a C compiler; TLS is chosen when the tests run.
    ("mysql_async/Cargo.toml", r'default = \[\n    "flate2/zlib",\n    "derive",\n\]', 'default = ["minimal-rust", "ring", "rustls-tls", "tls12"]', 1),
    ("tokio-postgres/tests/test/main.rs", r'TcpStream::connect\("127\.0\.0\.1:5433"\)', r'TcpStream::connect(at("127.0.0.1:5433"))', 2),
    (
        "tokio-postgres/tests/test/main.rs",
        r"\Z",
        '\nfn at(text: &str) -> String {\n    text.replace("5433", &std::env::var("PGPORT").unwrap())\n}\n',
        1,
    ),
    ("tokio-postgres/tests/test/runtime.rs", r"tokio_postgres::connect\(s, ", r"tokio_postgres::connect(&crate::at(s), ", 1),
    ("tokio-postgres/tests/test/runtime.rs", r'tokio_postgres::connect\((\s*"[^"]*"),', r"tokio_postgres::connect(&crate::at(\1),", 7),
    ("sqlx/tests/postgres/derives.rs", r'#\[cfg\(feature = "macros"\)\](\s*#\[sqlx_macros::test\]\s*async fn test_new_type\b)', r"#[cfg(any())]\1", 1),
    ("sqlx/tests/postgres/postgres.rs", r'sqlx::query!\("SELECT 1 AS one"\)', r'sqlx::query("SELECT 1 AS one")', 1),
]


def home(cache):
    """The folder of this state, whether it is there or not."""
    state = hashlib.sha256()
    for path in (pathlib.Path(__file__), *sorted(path for path in WORKSPACE.rglob("*") if path.is_file())):
        state.update(f"{path.relative_to(HERE)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return cache / f"rust-{state.hexdigest()[:16]}"


def cargo(*words, directory):
    words = ["cargo", *words]
    # Others' code is not for our lints, which a wrapper of the compiler may bring.
    env = {name: value for name, value in os.environ.items() if name != "RUSTC_WORKSPACE_WRAPPER"}
    return subprocess.run(words, cwd=directory, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=1500, text=True).stdout


def fetch(directory):
    """name -> folder of a crate's sources. A package that depends on them makes Cargo bring them."""
    needs = "".join(f'{name} = {{ version = "={version}", default-features = false }}\n' for name, (version, _) in CRATES.items())
    (directory / "Cargo.toml").write_text(f'[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n{needs}')
    (directory / "src").mkdir()
    (directory / "src" / "lib.rs").touch()
    # Of what they need in turn the versions that are built below.
    shutil.copy(WORKSPACE / "Cargo.lock", directory)
    (host,) = re.findall(r"^host: (.*)$", cargo("-vV", directory=directory), re.MULTILINE)
    found = json.loads(cargo("metadata", "--quiet", "--format-version=1", f"--filter-platform={host}", directory=directory))
    return {one["name"]: pathlib.Path(one["manifest_path"]).parent for one in found["packages"] if CRATES.get(one["name"], ("",))[0] == one["version"]}


def lay(sources, directory):
    """The workspace with the sources in it."""
    shutil.copytree(WORKSPACE, directory, dirs_exist_ok=True)
    for name, (_, parts) in CRATES.items():
        for part in parts:
            there, here = sources[name] / part, directory / name / part
            here.parent.mkdir(exist_ok=True)
            shutil.copytree(there, here, dirs_exist_ok=True) if there.is_dir() else shutil.copy(there, here)
    for file, pattern, replacement, often in SUBSTITUTIONS:
        text, count = re.subn(pattern, replacement, (directory / file).read_text())
        if count != often:
            raise RuntimeError(f"{file} has {count} places like {pattern}, not {often}")
        (directory / file).write_text(text)


def build(directory):
    """Each crate's tests as one program: bin/NAME."""
    (directory / "bin").mkdir()
    words = ["test", "--quiet", "--workspace", "--lib", "--no-run", "--locked", "--message-format=json", "--target-dir=target"]
    for line in cargo(*words, directory=directory).splitlines():
        told = json.loads(line)
        if told.get("executable"):
            shutil.move(told["executable"], directory / "bin" / pathlib.Path(told["manifest_path"]).parent.name)
    missing = [name for name in CRATES if not (directory / "bin" / name).exists()]
    if missing:
        raise RuntimeError(f"no tests were built of {missing}")
    shutil.rmtree(directory / "target")


def install(cache):
    wanted = home(cache)
    if not wanted.exists():
        with tempfile.TemporaryDirectory(dir=cache) as work:
            (pathlib.Path(work) / "sources").mkdir()
            lay(fetch(pathlib.Path(work) / "sources"), pathlib.Path(work) / "rust")
            build(pathlib.Path(work) / "rust")
            (pathlib.Path(work) / "rust").rename(wanted)
    for old in cache.glob("rust-*"):
        if old != wanted:
            shutil.rmtree(old)

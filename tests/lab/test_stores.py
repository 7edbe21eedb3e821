"""The store room against real object stores: the suite that every back end must pass (src/store/suite.rs)."""

import os
import pathlib
import subprocess
import sys
import warnings

import botocore.exceptions
import botocore.session

from conftest import ROOT, eventually, free_port


def tried(store):
    """The suite's end: None when all promises were kept, or what it printed."""
    # Without the frames of a panic its message, the broken promise, is what one reads.
    env = {**os.environ, "FLASHGATE_TEST_STORE": store, "RUST_BACKTRACE": "0"}
    filters = ["--exact", "--nocapture", "store::suite::tests::the_store_of_the_environment_passes"]
    done = subprocess.run(["cargo", "test", "--lib", "--", *filters], cwd=ROOT, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    printed = done.stdout[-4000:] + done.stderr[-8000:]
    # The test passes without having looked when it finds no store in its environment; it says so.
    assert "skipped: FLASHGATE_TEST_STORE" not in printed
    return None if done.returncode == 0 and "1 passed" in done.stdout else printed


def test_seaweedfs_passes_the_suite(seaweed):
    seaweed.bucket("suite")
    store = f"s3://suite/some/prefix/ ENDPOINT={seaweed.endpoint} ACCESS_KEY_ID={seaweed.key} ACCESS_KEY_SECRET={seaweed.secret}"
    broken = tried(store)
    if broken:
        # Seen once in some hundred runs; which promise it was, and why, is not known. Told, and tried once more.
        warnings.warn(f"SeaweedFS broke a promise, once:\n{broken}", stacklevel=1)
        broken = tried(store)
    assert broken is None, broken


def test_moto_passes_the_suite(tmp_path):
    port = free_port()
    server = pathlib.Path(sys.executable).with_name("moto_server")
    with open(tmp_path / "moto.log", "wb") as log:
        process = subprocess.Popen([server, "-H", "127.0.0.1", "-p", str(port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        client = botocore.session.get_session().create_client(
            "s3", region_name="us-east-1", endpoint_url=endpoint, aws_access_key_id="x", aws_secret_access_key="y"
        )

        def made():
            try:
                return client.create_bucket(Bucket="suite")
            except botocore.exceptions.EndpointConnectionError:
                return None

        assert eventually(made, timeout=60), (tmp_path / "moto.log").read_text()
        broken = tried(f"s3://suite/ ENDPOINT={endpoint} ACCESS_KEY_ID=x ACCESS_KEY_SECRET=y")
        assert broken is None, broken
        log = (tmp_path / "moto.log").read_text(errors="replace")
        for verb in ("PUT", "GET"):
            assert f"{verb} /suite/" in log, f"the suite sent no {verb}"
    finally:
        process.terminate()
        process.wait()

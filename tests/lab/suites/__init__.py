"""Other people's tests: what drivers ship with their sources, run against a database and against Flashgate in front of one like it.

`install` brings pinned sources and a virtual environment of their own into the tests' cache, and `crates` builds the Rust drivers' tests there;
`suites` says which there are and how each is started; `outcomes` runs one both ways and compares test by test. test_driver_suites.py has the
list of allowed differences.
"""

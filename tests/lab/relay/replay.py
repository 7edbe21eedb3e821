"""Runs scripts directly and through, compares, and makes one that differs smaller."""

import dataclasses
import time

from . import mysql, postgres
from .wire import difference

RUNNERS = {"mysql": mysql.Session, "postgres": postgres.Session}


def heard(address, script, tls, patience=None):
    """What the server side said, or what went wrong with hearing it."""
    session = RUNNERS[script.kind](address, script, tls, patience)
    try:
        return session.run(), None
    except (AssertionError, OSError) as error:
        return session.heard, f"{type(error).__name__} in step {session.step}: {error}"


def compare(script, direct, through, tls=False, patience=None):
    """How the two differ, in words; None when they do not."""
    ours_direct, wrong = heard(direct, script, tls, patience)
    assert wrong is None, f"the database itself, directly, seed {script.seed!r}: {wrong}\n{shown(script)}"
    ours_through, wrong = heard(through, script, tls, patience)
    found = difference(ours_direct, ours_through, script.steps)
    if wrong:
        return f"{wrong}\n{found or ''}"
    return found


def shrink(script, direct, through, tls, budget=60):
    """The same script with the steps left out that the difference does not need. Not every difference stays: then it is as it was."""
    deadline, at = time.monotonic() + budget, len(script.steps) - 1
    while at >= 0 and time.monotonic() < deadline:
        smaller = dataclasses.replace(script, steps=script.steps[:at] + script.steps[at + 1 :])
        try:
            differs = compare(smaller, direct, through, tls, patience=5)
        except AssertionError:
            differs = None
        if differs:
            script = smaller
        at -= 1
    return script


def shown(script):
    return "\n".join([f"  login {script.login!r}", *(f"  step {number}: {step!r}" for number, step in enumerate(script.steps))])[:8000]


def replay(scripts, direct, through, tls=False):
    """Runs every script both ways; fails with the first that differs. Returns how many there were."""
    count = 0
    for script in scripts:
        found = compare(script, direct, through, tls)
        if found:
            smaller = shrink(script, direct, through, tls)
            again = compare(smaller, direct, through, tls, patience=5)
            raise AssertionError(
                f"seed {script.seed!r} differs:\n{found}\n\nmade smaller ({len(smaller.steps)} of {len(script.steps)} steps):\n{again or found}\n{shown(smaller)}"
            )
        count += 1
    return count

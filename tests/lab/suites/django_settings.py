"""Django's own tests: where their databases are, and a runner that writes down how each ended. Copied beside them, and told by its environment."""

import json
import os
import unittest

from django.test.runner import DiscoverRunner

MYSQL = os.environ["SUITE_ENGINE"] == "mysql"
DATABASES = {
    name: {
        "ENGINE": "django.db.backends." + os.environ["SUITE_ENGINE"],
        "NAME": f"django_{name}",
        "USER": os.environ["SUITE_USER"],
        "PASSWORD": os.environ["SUITE_PASSWORD"],
        "HOST": os.environ["SUITE_HOST"],
        "PORT": os.environ["SUITE_PORT"],
        "TEST": {"NAME": f"test_django_{name}"} | ({"CHARSET": "utf8mb4"} if MYSQL else {}),
    }
    for name in ("default", "other")
}
SECRET_KEY = "tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "suite_settings.Runner"


class Result(unittest.TextTestResult):
    """Writes a line of JSON for each test, or more: name, how it ended, what it said."""

    def note(self, test, ended, said=""):
        with open(os.environ["SUITE_RESULT"], "a", encoding="utf-8") as out:
            out.write(json.dumps([test.id(), ended, str(said)[:500]]) + "\n")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note(test, "passed")

    def addError(self, test, err):
        super().addError(test, err)
        self.note(test, "error", err[1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note(test, "failed", err[1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.note(test, "failed", err[1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note(test, "passed")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "failed", "it was to fail")


class Runner(DiscoverRunner):
    def get_resultclass(self):
        return Result

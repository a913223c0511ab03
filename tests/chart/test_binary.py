"""What the chart gives to the containers, held against the binary itself, which `cargo test` has built."""

import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from chart import HELM, ROOT, container, env, migration, mounted, render

BINARY = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug/invitations"
CONTENTS = {"database_url": "postgres://invitations:secret@db.example.com/invitations?sslmode=verify-full\n"}


@unittest.skipUnless(BINARY.exists() or os.environ.get("CI") == "true", f"NOT CHECKED: {BINARY} is not built")
class CheckConfig(unittest.TestCase):
    def setUp(self):
        self.home = Path(self.enterContext(tempfile.TemporaryDirectory()))
        # the keys as README.md has them made
        made = re.findall(r"^printf .* > \w+$", (HELM / "README.md").read_text(), re.M)
        subprocess.run(["sh", "-euc", "\n".join(made)], cwd=self.home, check=True)

    def check(self, name, **values):
        """The outcome of the container `check-config` with these values."""
        spec = migration(render(name, **values))
        of = container(spec, "check-config")
        folder = self.home / "mounted"
        folder.mkdir(exist_ok=True)
        for file, (_, _, key) in mounted(spec, of).items():
            text = (self.home / key).read_text() if (self.home / key).exists() else CONTENTS[file]
            (folder / file).write_text(text)
            # as the chart mounts it; key files that everybody may read are refused
            (folder / file).chmod(next(volume for volume in spec["volumes"] if volume["name"] == "service")["projected"]["defaultMode"])
        given = {name: value.replace("$$", "$").replace("/etc/invitations", str(folder)) for name, value in env(of).items()}
        return subprocess.run([BINARY, *of["args"]], env=given, capture_output=True, text=True)

    def test_the_minimal_values_are_good_with_the_keys_of_the_readme(self):
        for name in ("minimal", "closed", "scaled"):
            done = self.check(name)
            self.assertEqual((done.returncode, done.stdout), (0, "configuration ok\n"), done.stderr)

    def test_what_is_wrong_fails_the_job_at_once_in_one_line_that_names_it(self):
        """By the exit status that podFailurePolicy looks for."""
        for values, named in (
            ({"settings__mail_workers": 500}, "mail_workers"),
            ({"settings__endpoint_delay_second": 5}, "INVITATIONS_ENDPOINT_DELAY_SECOND"),
            ({"settings__issuers": [{"id": "a", "kind": "user"}]}, "issuers"),
        ):
            done = self.check("minimal", **values)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(named, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    def test_a_missing_token_is_noticed(self):
        """So the Job has to mount one where the service has it."""
        done = self.check("services")
        self.assertEqual(done.returncode, 2)
        self.assertIn("ca_file", done.stderr)


if __name__ == "__main__":
    unittest.main()

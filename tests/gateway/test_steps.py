"""The seven steps over REST, as docs/gateway.md has them, with curl through each gateway."""

import re
import subprocess
import unittest

import rig


def blocks(page="gateway", start="## The seven steps"):
    """The shell blocks of the page from there on."""
    page = (rig.ROOT / f"docs/{page}.md").read_text()
    return re.findall(r"```sh\n(.*?)```", page[page.index(start) :], re.S)


def script(gateway, *parts):
    text = "set -euo pipefail\n" + "\n".join(parts)
    for old, new in [
        ("http://127.0.0.1:8080", f"http://127.0.0.1:{gateway.port}"),
        ("127.0.0.1:50051", rig.service()),
        ("cargo run -q -- token", f"{rig.binary()} token --dir {rig.folder}/dev"),
        (".dev/mailbox", f"{rig.folder}/dev/mailbox"),
    ]:
        text = text.replace(old, new)
    return text


class Steps(unittest.TestCase):
    def run_through(self, gateway, *parts):
        result = subprocess.run(["bash", "-c", script(gateway, *parts)], capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_the_person_becomes_a_member(self):
        for gateway in rig.gateways():
            with self.subTest(gateway=gateway.name):
                out = self.run_through(gateway, blocks()[0])
                self.assertIn('"state":"ACCEPTED"', out.replace(" ", ""))
                member = out.strip().rpartition("\n")[2]
                self.assertRegex(member.replace(" ", ""), r'"name":"organizations/acme/members/anna-\d+".*"role":"CONTRIBUTOR"')

    def test_many_are_invited_found_and_taken_back(self):
        for gateway in rig.gateways():
            with self.subTest(gateway=gateway.name):
                out = self.run_through(gateway, "\necho; echo ---\n".join(blocks("bulk", "# How are many")))
                _, invited, listed, named, revoked = out.replace(" ", "").split("---")
                self.assertEqual(invited.count('"status":'), 2, invited)
                self.assertEqual(invited.count('"state":"INVITED"'), 4, invited)
                self.assertEqual(listed.count('"state":"INVITED"'), 2, listed)
                self.assertEqual(named.count('"state":"INVITED"'), 4, named)
                self.assertEqual(revoked.count('"state":"REVOKED"'), 4, revoked)

    def test_a_watcher_is_told_where_it_is(self):
        start = blocks()[0].partition("# 1.")[0]
        (watch,) = [block for block in blocks() if "events:watch" in block]
        out = self.run_through(rig.gateways()[0], start, watch)
        self.assertRegex(out, r'^id: (\S+)\ndata: {"resumeToken":"\1"}\n\n')

    def test_the_examples_of_the_page_do_what_it_says(self):
        for gateway in rig.gateways():
            with self.subTest(gateway=gateway.name):
                twice, etag, mask = blocks()[1:4]
                start = blocks()[0].partition("# 1.")[0]
                mask = "curl" + mask.partition("\ncurl")[2]  # the lines before are grpcurl's
                out = self.run_through(gateway, start, twice, "\necho; echo ---", etag, "\necho; echo ---", mask)
                twice, etag, mask = out.replace(" ", "").split("---")
                names = re.findall(r'"name":"(organizations/acme/invitations/[^"]+)"', twice)
                self.assertEqual((len(names), len(set(names))), (2, 1), twice)
                self.assertIn('"displayName":"Acme"', etag)
                self.assertIn('"name":"organizations/acme"', mask)


if __name__ == "__main__":
    unittest.main()

"""Made-up requests by docs/openapi.yaml, against both gateways: no 5xx, and every answer by its schema."""

import re
import subprocess
import unittest

import rig

CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]


class Schema(unittest.TestCase):
    def run_schemathesis(self, gateway, document, *more):
        options = {
            "--url": f"http://127.0.0.1:{gateway.port}",
            "--header": f"Authorization: Bearer {rig.token('olga')}",
            "--phases": "examples,coverage,fuzzing",
            "--max-examples": "10",
            "--seed": "1",
            "--workers": "1",
            "--request-timeout": "10",
            "--checks": ",".join(CHECKS),
            "--generation-database": "none",
            "--warnings": "off",
        }
        words = [word for pair in options.items() for word in pair]
        command = ["schemathesis", "run", document, *more, "--no-color", "--continue-on-failure", *words]
        result = subprocess.run(command, cwd=rig.folder, capture_output=True, text=True, timeout=600)
        return result.returncode, result.stdout + result.stderr

    def test_every_answer_is_by_its_schema(self):
        # nobody else calls here, and the limit of calls is another test's
        bucket = r"max_tokens: \d+, tokens_per_fill: \d+"
        many = rig.envoy("many", lambda text: re.sub(bucket, "max_tokens: 100000, tokens_per_fill: 100000", text))
        for gateway in [many, rig.gateways()[1]]:
            with self.subTest(gateway=gateway.name):
                # a stream does not end
                status, out = self.run_schemathesis(gateway, rig.ROOT / "docs/openapi.yaml", "--exclude-path-regex", ":watch$")
                self.assertEqual(status, 0, out[-6000:])
                cases = int(re.search(r"(\d+) generated", out)[1])
                self.assertGreater(cases, 500, out)

    def test_an_answer_that_is_not_by_its_schema_is_found(self):
        document = (rig.ROOT / "docs/openapi.yaml").read_text()
        wrong = rig.folder / "wrong.yaml"
        wrong.write_text(re.sub(r"(\n        displayName:\n          type: )string", r"\1integer", document))
        self.assertNotEqual(wrong.read_text(), document)
        status, out = self.run_schemathesis(rig.gateways()[1], wrong, "--include-operation-id", "GetOrganization")
        self.assertEqual(status, 1, out[-3000:])
        self.assertIn("Response violates schema", out)


if __name__ == "__main__":
    unittest.main()

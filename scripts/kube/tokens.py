#!/usr/bin/env python3
"""Keys and tokens of an issuer that the trial's release trusts (values.yaml), signed with openssl:

    scripts/kube/tokens.py FOLDER

Writes there `jwks`, and a token for each of the people in PEOPLE: `owner.token` and so on.
"""

import base64
import json
import pathlib
import subprocess
import sys
import time

ISSUER, AUDIENCE, KEY_ID = "https://id.example.com", "invitations", "trial"
PEOPLE = {"owner": "olga@acme.example", "anna": "anna@example.com", "paula": "paula@example.com"}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main(folder):
    folder = pathlib.Path(folder)
    key = folder / "issuer.key"

    def openssl(*arguments):
        return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout

    openssl("genpkey", "-algorithm", "ed25519", "-out", key)
    public = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-32:]
    jwk = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": KEY_ID, "x": encode(public)}
    (folder / "jwks").write_text(json.dumps({"keys": [jwk]}))

    now = int(time.time())
    for name, email in PEOPLE.items():
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": name, "iat": now - 5, "exp": now + 4 * 3600}
        claims |= {"email": email, "email_verified": True}
        parts = ({"alg": "EdDSA", "typ": "at+jwt", "kid": KEY_ID}, claims)
        signed = ".".join(encode(json.dumps(part).encode()) for part in parts)
        (folder / "signed").write_text(signed)
        signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", folder / "signed")
        (folder / f"{name}.token").write_text(f"{signed}.{encode(signature)}")


main(sys.argv[1])

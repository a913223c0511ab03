#!/usr/bin/env python3
"""Makes an image of one program FROM scratch, as an OCI archive for `ctr images import`:

    scripts/kube/oci.py OUT.tar NAME:TAG PROGRAM [FILE=PATH ...]

The same files make the same image.
"""

import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

TYPE = "application/vnd.oci.image."
blobs = {}


def blob(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": TYPE + kind, "digest": f"sha256:{digest}", "size": len(data)}


def tar(files):
    """An archive of pairs of path and content, and of the folders above them."""
    raw, folders = io.BytesIO(), set()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, data in files:
            for parent in reversed(pathlib.PurePath(path).parents[:-1]):
                if parent not in folders:
                    folders.add(parent)
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    archive.addfile(entry)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


def main(out, name, program, *files):
    program = pathlib.Path(program)
    pairs = [(program.name, program.read_bytes())]
    for file in files:
        source, _, path = file.partition("=")
        pairs.append((path.lstrip("/"), pathlib.Path(source).read_bytes()))
    layer = tar(pairs)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": [f"/{program.name}"], "User": "65532:65532"},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": TYPE + "manifest.v1+json",
        "config": blob(json.dumps(config).encode(), "config.v1+json"),
        "layers": [blob(gzip.compress(layer, 1, mtime=0), "layer.v1.tar+gzip")],
    }
    image = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    image["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rpartition(":")[2]}
    index = {"schemaVersion": 2, "manifests": [image]}
    pathlib.Path(out).write_bytes(
        tar(
            [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", json.dumps(index).encode())]
            + [(f"blobs/sha256/{digest}", data) for digest, data in sorted(blobs.items())]
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

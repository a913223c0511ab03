# The image: one static binary and the CA certificates, nothing else; no shell, no package, no user but 65532.
#
# Why `FROM scratch` and a binary with `crt-static`, not distroless: nothing in the image can be outdated but the
# binary itself and the certificates, and no second base has to be trusted and followed. glibc linked statically
# resolves names by /etc/hosts and DNS, which is all that a pod has. The base is pinned by the digest of its index, so that
# what is built tomorrow is built with the same: raise both together, by `docker buildx imagetools inspect rust:…`.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg COMMIT="$(git rev-parse HEAD)" .
#
# Where there is no Docker, `scripts/image` builds it with buildah.
ARG RUST_IMAGE=rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
ARG RUNTIME_IMAGE=scratch

FROM ${RUST_IMAGE} AS build
# writes into the binary which crates it is made of: `cargo audit bin invitations` and scanners read it there
RUN cargo install --locked cargo-auditable@0.7.7
WORKDIR /source
# Queries are checked against the committed cache. An explicit target keeps `crt-static` away from build scripts and
# macros, which are loaded dynamically.
ENV SQLX_OFFLINE=true RUSTFLAGS="-C target-feature=+crt-static" \
    BUILD="cargo auditable build --release --locked --no-default-features --features server,import --bin invitations"
# The dependencies alone, around empty sources: a layer that is kept until one of these two files changes. Cargo wants a
# file for each bench of the manifest, even where none is built.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src benches && touch src/lib.rs \
 && for bench in $(sed -n '/^\[\[bench]]/ { n; s/^name = "\(.*\)"/\1/p; }' Cargo.toml); do touch "benches/$bench.rs"; done \
 && echo 'fn main() {}' > src/main.rs && cp src/main.rs build.rs \
 && $BUILD --target "$(rustc -vV | sed -n 's/^host: //p')"
# what the binary is made of, and nothing else: no other change compiles it anew
COPY build.rs ./
COPY proto proto
COPY proto-vendor proto-vendor
COPY .sqlx .sqlx
COPY migrations migrations
COPY src src
# What `invitations --version` says beside the version of Cargo.toml.
ARG COMMIT=
# The sources may be older than the empty ones, and Cargo goes by the time of files. The layer keeps nothing but the binary.
RUN touch build.rs src/lib.rs src/main.rs \
 && target=$(rustc -vV | sed -n 's/^host: //p') \
 && INVITATIONS_COMMIT="$COMMIT" $BUILD --target "$target" \
 && mv "target/$target/release/invitations" / && rm -r target

FROM ${RUNTIME_IMAGE}
ARG VERSION=
ARG COMMIT=
LABEL org.opencontainers.image.title="invitations" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
# where rustls looks for the roots it trusts: SMTP over TLS, the issuers' keys, Postgres
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /invitations /invitations
USER 65532:65532
EXPOSE 50051
ENTRYPOINT ["/invitations"]
CMD ["serve"]

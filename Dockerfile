# The image: one static binary and the CA certificates, nothing else; no shell, no package, no user but 65532.
#
# Why `FROM scratch` and a binary with `crt-static`, not distroless: nothing in the image can be outdated but the
# binary itself and the certificates, and no second base has to be trusted and followed. glibc linked statically
# resolves names by /etc/hosts and DNS, which is all that a pod has. The base is pinned by the digest of its index, so that
# what is built tomorrow is built with the same: raise both together, by `docker buildx imagetools inspect rust:…`.
ARG RUST_IMAGE=rust:1.95-slim-bookworm@sha256:d7482085ff5b415f84dba5647ae71606650bdef00db7aeb69f4b3d170c3e4082
ARG RUNTIME_IMAGE=scratch

FROM ${RUST_IMAGE} AS build
# writes into the binary which crates it is made of: `cargo audit bin invitations` and scanners read it there
RUN cargo install --locked cargo-auditable@0.7.7
WORKDIR /source
COPY . .
# Queries are checked against the committed cache. An explicit target keeps `crt-static` away from build scripts and
# macros, which are loaded dynamically.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && SQLX_OFFLINE=true RUSTFLAGS="-C target-feature=+crt-static" \
    cargo auditable build --release --locked --no-default-features --features server,import --bin invitations --target "$target" \
 && cp "target/$target/release/invitations" /invitations

FROM ${RUNTIME_IMAGE}
# where rustls looks for the roots it trusts: SMTP over TLS, the issuers' keys, Postgres
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /invitations /invitations
USER 65532:65532
EXPOSE 50051
ENTRYPOINT ["/invitations"]
CMD ["serve"]

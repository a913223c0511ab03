# The image: one static binary and the CA certificates, nothing else; no shell, no package, no user but 65532.
#
# Why `FROM scratch` and a binary with `crt-static`, not distroless: nothing in the image can be outdated but the
# binary itself and the certificates, and no second base has to be trusted and followed. glibc linked statically
# resolves names by /etc/hosts and DNS, which is all that a pod has. Pin both images by digest where you build releases.
ARG RUST_IMAGE=rust:1.95-slim-bookworm
ARG RUNTIME_IMAGE=scratch

FROM ${RUST_IMAGE} AS build
WORKDIR /source
COPY . .
# Queries are checked against the committed cache. An explicit target keeps `crt-static` away from build scripts and
# macros, which are loaded dynamically.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && SQLX_OFFLINE=true RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --no-default-features --bin invitations --target "$target" \
 && cp "target/$target/release/invitations" /invitations

FROM ${RUNTIME_IMAGE}
# where rustls looks for the roots it trusts: SMTP over TLS, the issuers' keys, Postgres
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /invitations /invitations
USER 65532:65532
EXPOSE 50051
ENTRYPOINT ["/invitations"]
CMD ["serve"]

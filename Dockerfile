# A slim image that runs as uid 10001. Mount the configuration and the keys read-only; the keys belong to that uid,
# mode 0600. Two folders are written to: the database's, unless that is PostgreSQL, and, apart from it, the one where
# the signer remembers what it signed. See "In a container" in docs/operations.md. The build steps are
# packaging/install.sh.

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY packaging packaging
COPY bot bot
RUN sh packaging/install.sh /opt/breakglass

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/breakglass breakglass \
 && install -d -o breakglass -m 700 /var/lib/breakglass-signed
COPY --from=build /opt/breakglass /opt/breakglass
ENV PATH=/opt/breakglass/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BREAKGLASS_CONFIG=/etc/breakglass/breakglass.toml \
    BREAKGLASS_DATABASE_URL=sqlite:////var/lib/breakglass/breakglass.db \
    BREAKGLASS_SIGNING_MEMORY=/var/lib/breakglass-signed/memory
USER breakglass
WORKDIR /var/lib/breakglass
VOLUME ["/var/lib/breakglass", "/var/lib/breakglass-signed"]
# Asks where `[http] listen` says, which only this container need reach. Nothing is exposed: Socket Mode needs no port.
# For probes from outside, or the transport `http`, write listen = "0.0.0.0:8080" and publish 8080 to a private network.
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s CMD ["breakglass", "health"]
ENTRYPOINT ["breakglass"]
CMD ["serve"]

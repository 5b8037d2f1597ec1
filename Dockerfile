# A slim image that runs as nobody in particular. Mount the configuration and the signing key read-only, and give
# the database a volume (or a PostgreSQL URL). The build steps are packaging/install.sh.

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
COPY packaging packaging
COPY bot bot
RUN sh packaging/install.sh /opt/breakglass

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/breakglass breakglass
COPY --from=build /opt/breakglass /opt/breakglass
ENV PATH=/opt/breakglass/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BREAKGLASS_CONFIG=/etc/breakglass/breakglass.toml \
    BREAKGLASS_DATABASE_URL=sqlite:////var/lib/breakglass/breakglass.db
USER breakglass
WORKDIR /var/lib/breakglass
VOLUME /var/lib/breakglass
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
ENTRYPOINT ["breakglass"]
CMD ["serve"]

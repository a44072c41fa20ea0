# Builds for amd64 and arm64 alike: nothing below names an architecture.
# No cache mounts, COPY --link or heredocs: older builders do not know them.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked && cp target/release/destination-chartmogul /destination-chartmogul

# The platform starts a connector through `sh -c`, so the image needs a shell; TLS needs the CA certificates.
FROM debian:bookworm-slim
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# The platform may run it rootless, as 1000:1000, with its volumes mounted at these places.
RUN groupadd --gid 1000 airbyte \
    && useradd --uid 1000 --gid airbyte --create-home airbyte \
    && mkdir -p /airbyte /secrets /config /custom_cache /dest \
    && chown airbyte:airbyte /airbyte /secrets /config /custom_cache /dest
COPY --from=build --chown=airbyte:airbyte /destination-chartmogul /airbyte/destination-chartmogul

USER airbyte
WORKDIR /airbyte
# The same twice: the platform evaluates the variable, everybody else uses the entry point.
ENV AIRBYTE_ENTRYPOINT="/airbyte/destination-chartmogul"
ENTRYPOINT ["/airbyte/destination-chartmogul"]

LABEL io.airbyte.name="destination-chartmogul/destination-chartmogul" \
      io.airbyte.version="0.1.0"

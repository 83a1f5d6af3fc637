# The image contains one static binary, which runs as an unprivileged user.
#
#   docker build -t nearside .
#   docker run -p 127.0.0.1:5110:5110 -v nearside-data:/data nearside
#
# In the container, nearside listens on all addresses, with insecure: true, because the container's loopback address
# cannot be reached from outside. Without keys (access in the configuration), every client that reaches the port can read and write everything.
# So publish the port only to trusted clients. The command above publishes it only to this machine.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# CGO_ENABLED=0 go build -trimpath -o bin/nearside ./cmd/nearside
RUN make build && install -d -m 0775 -o 1001 -g 0 /image/data && install -d -m 0755 /image/plugins

FROM scratch
LABEL org.opencontainers.image.title="nearside" \
      org.opencontainers.image.description="Exact matching of face descriptors over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build --chown=1001:0 /image/data /data
COPY --from=build /image/plugins /plugins
COPY --from=build /src/bin/nearside /nearside
ENV NEARSIDE_LISTEN=0.0.0.0:5110 \
    NEARSIDE_INSECURE=true \
    NEARSIDE_DATA_DIR=/data \
    NEARSIDE_PLUGINS_DIR=/plugins
# /data holds all stored objects. /plugins is empty; files can be mounted or copied into it.
VOLUME /data
EXPOSE 5110
USER 1001:0
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["/nearside", "doctor", "--ready"]
ENTRYPOINT ["/nearside"]
CMD ["serve"]

# Two stages: the first has a compiler, the second has nothing but the binary,
# root certificates and time zones.
FROM golang:1.26 AS build
WORKDIR /src

# Modules first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
# Static, because the final image has no C library; -trimpath, so that the binary
# does not depend on where it was built.
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /assay ./cmd/assay

FROM gcr.io/distroless/static-debian13:nonroot
COPY --from=build /assay /usr/bin/assay
# A number, not a name: with runAsNonRoot the kubelet refuses an image whose user
# is a name, since it cannot tell that the name is not root's.
USER 65532:65532
ENTRYPOINT ["/usr/bin/assay"]

// The end-to-end tests: a real control plane, real registries and clients. A module of its own,
// so that what they need does not become what the product needs.
module github.com/assay-dev/assay/e2e

go 1.26.0

require golang.org/x/mod v0.41.0

package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/decisions/store"
	"github.com/assay-dev/assay/rego/bundle/stores"
)

// TestNamesThatDoNotFitAreRefused when they are configured: every put would fail, for ever.
func TestNamesThatDoNotFitAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("c", 63)
	for _, tt := range []struct{ name, labels, settings, want string }{
		{
			"a cluster that is too long for a tag", "cluster: " + long, `{"url": "oci://registry.internal/fleet"}`,
			"plugins.assay_store.prefix, labels.cluster and labels.replica (or id): " + long + "/0b7f9f5e-8a53-4c52-9f0d-0a4c8a1d9a11/decisions/1970/01/01/T000000Z-000000000.json.gz: " +
				"name: got 148 bytes as a tag, want at most 128: name clusters and replicas more briefly",
		},
		{"the same in a bucket", "cluster: " + long, `{"url": "s3://bucket"}`, ""},
		{"a short one", "cluster: north", `{"url": "oci://registry.internal/fleet"}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m, err := plugins.New([]byte("{labels: {"+tt.labels+"}}"), "0b7f9f5e-8a53-4c52-9f0d-0a4c8a1d9a11", inmem.New())
			if err != nil {
				t.Fatal(err)
			}
			factory := store.New(store.Options{Open: func(url string) (store.Store, error) {
				return stores.Open(context.Background(), url, stores.Options{})
			}})
			got := ""
			if _, err := factory.Validate(m, []byte(tt.settings)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

package strict_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip/strict"
)

const placed = `# a comment
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata:
  name: first
spec:
  images:
    - glob: a
    - &second
      glob: b
    - *second
  authorities:
    - keyless:
        identities: [{issuer: a,
          subject: b}]
---
---
kind: TrustRoot
metadata: {name: first}
`

func TestPlaces(t *testing.T) {
	t.Parallel()
	places := strict.Locate([]byte(placed))
	want := []strict.Resource{{Kind: "ClusterImagePolicy", Name: "first", APIVersion: "policy.sigstore.dev/v1beta1", Line: 2}, {Kind: "TrustRoot", Name: "first", Line: 18}}
	if diff := cmp.Diff(want, places.Resources()); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		name, kind, path string
		want             int
	}{
		{"the document", "ClusterImagePolicy", "", 2},
		{"a field", "ClusterImagePolicy", "spec.images", 7},
		{"an element", "ClusterImagePolicy", "spec.images[0]", 8},
		{"a field of an element", "ClusterImagePolicy", "spec.images[1].glob", 10},
		{"an alias stands where it is written", "ClusterImagePolicy", "spec.images[2]", 11},
		{"in flow style", "ClusterImagePolicy", "spec.authorities[0].keyless.identities[0].subject", 15},
		{"a field that is not there", "ClusterImagePolicy", "spec.authorities[0].ctlog.url", 13},
		{"an element that is not there", "ClusterImagePolicy", "spec.images[3].glob", 7},
		{"an index of what is no list", "ClusterImagePolicy", "spec[0].images", 6},
		{"another kind", "TrustRoot", "metadata.name", 19},
		{"a resource that is not there", "Secret", "metadata", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := places.Line(tt.kind, "first", tt.path); got != tt.want {
				t.Errorf("%s: got line %d, want %d", tt.path, got, tt.want)
			}
		})
	}
}

// FuzzPlaces wants a line of the file for whatever is read as policies.
func FuzzPlaces(f *testing.F) {
	f.Add([]byte(placed), "spec.images[1].glob")
	f.Add([]byte(`{"kind":"ClusterImagePolicy","metadata":{"name":"a"}}`), "spec.a[")
	f.Add([]byte("&a [*a]"), "x")
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		if _, err := strict.JSON(data); err != nil {
			return
		}
		places := strict.Locate(data)
		for _, resource := range places.Resources() {
			if line := places.Line(resource.Kind, resource.Name, path); line < 1 {
				t.Errorf("got line %d, want one of the file", line)
			}
		}
	})
}

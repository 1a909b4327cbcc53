package artifact_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
)

func TestTagRefuses(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	at := pushed(t, h, "/policies/prod:candidate", made(t, bundle(t, "7"), "7"))
	live := h.host() + "/policies/prod:live"
	_, digest, _ := strings.Cut(at, "@")
	for name, tt := range map[string]struct {
		ref, tag string
		want     error
	}{
		"a tag in the place of the digest": {h.host() + "/policies/prod:candidate", live, oci.Malformed},
		"another repository":               {at, h.host() + "/policies/other:live", oci.Malformed},
		"another registry":                 {at, "registry.example/policies/prod:live", oci.Malformed},
		"a digest in the place of the tag": {at, at, oci.Malformed},
		"no reference":                     {"@", live, oci.Malformed},
		"a digest that is not there":       {strings.Replace(at, digest, "sha256:"+strings.Repeat("0", 64), 1), live, oci.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := artifact.Tag(t.Context(), artifact.Way{Private: true}, tt.ref, tt.tag); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
	if err := artifact.Tag(t.Context(), artifact.Way{}, at, live); !errors.Is(err, oci.ForbiddenHost) {
		t.Errorf("a private address: got %v, want it refused", err)
	}
}

// TestTagIsForBundles: an image of something else stays what it is.
func TestTagIsForBundles(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	at := pushed(t, h, "/policies/prod:candidate", made(t, bundle(t, "7"), "7"))
	h.on("/manifests/sha256:", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		_, _ = w.Write([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`))
	})
	if err := artifact.Tag(t.Context(), artifact.Way{Private: true}, at, h.host()+"/policies/prod:live"); err == nil {
		t.Error("other bytes under the digest: got no error")
	}
}

func TestTagKeepsTheDigest(t *testing.T) {
	t.Parallel()
	h, c := newHub(t), client(t)
	live := h.host() + "/policies/prod:live"
	pushed(t, h, "/policies/prod:live", made(t, bundle(t, "6"), "6"))
	at := pushed(t, h, "/policies/prod:candidate", made(t, bundle(t, "7"), "7"))
	if err := artifact.Tag(t.Context(), artifact.Way{Private: true}, at, live); err != nil {
		t.Fatal(err)
	}
	got, err := artifact.Pull(t.Context(), c, oci.Credentials{}, live, artifact.MaxBytes)
	if err != nil || got.Ref != at {
		t.Errorf("got %s, %v, want %s", got.Ref, err, at)
	}
}

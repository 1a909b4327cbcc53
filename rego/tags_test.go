package rego_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/assay-dev/assay/rego"
)

// deployment is the review of a Deployment whose template runs images.
func deployment(images ...string) []byte {
	return review("apps", "Deployment", map[string]any{"spec": map[string]any{"template": runs(images...)}})
}

// readings counts how often each tag of a registry was read.
type readings struct {
	mu   sync.Mutex
	tags map[string]int
}

func (r *readings) handle(inner http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, request *http.Request) {
		if _, reference, found := strings.Cut(request.URL.Path, "/manifests/"); found && !strings.HasPrefix(reference, "sha256") {
			r.mu.Lock()
			r.tags[reference]++
			r.mu.Unlock()
		}
		inner.ServeHTTP(w, request)
	}
}

// T11: what is admitted is, letter for letter, what was verified. The tag is read once,
// by the mutating webhook; where it points afterwards does not matter.
func TestAdmittedPodIsTheVerifiedDigest(t *testing.T) {
	t.Parallel()
	w, signed, unsigned := twoVersions(t)
	a := &alternating{tag: "v1", digests: []string{signed, unsigned}}
	image := front(t, w, a.handle)(byTag(t, w, "app"))
	r := open(t, w, setup{config: rego.Config{Tags: "pods"}})
	mutated := r.mutate(t, pod(image))
	if got, want := values(mutated), []string{image + "@" + signed}; !slices.Equal(got, want) {
		t.Fatalf("got the patch %v, want %v", got, want)
	}
	d := r.decide(t, mutated.Patch[0].Value)
	if !d.Allowed || d.Images[0].Image != mutated.Patch[0].Value || d.Images[0].Digest != signed || len(d.Patch) > 0 {
		t.Errorf("got %s, want %s admitted as it is", encode(t, d), mutated.Patch[0].Value)
	}
	if a.reads != 1 {
		t.Errorf("got %d readings of the tag, want one", a.reads)
	}
}

// A Pod that is still on a tag is denied without asking anybody, whatever would be said.
func TestPodOnATagIsDeniedUnasked(t *testing.T) {
	t.Parallel()
	w := openWorld(t, signedApp)
	image := byTag(t, w, "app")
	for name, setup := range map[string]setup{
		"a policy that it satisfies":  {},
		"a policy that only warns":    {policies: policy("signed", "  mode: warn\n", "")},
		"no policy, and none is need": {policies: strings.Replace(passing, "**", "example.com/**", 1), config: rego.Config{NoMatch: "allow"}},
	} {
		t.Run(name, func(t *testing.T) {
			setup.config.Tags = "pods"
			r := open(t, w, setup)
			w.ResetRequests()
			d := r.decide(t, image)
			want := "invalid value: " + image + " must be an image digest: spec.containers[0].image"
			if d.Allowed || !slices.Equal(d.Reasons, []string{want}) {
				t.Errorf("got %s, want denied for %q", encode(t, d), want)
			}
			if got := w.Requests(); len(got) > 0 {
				t.Errorf("got requests %v, want none", got)
			}
		})
	}
}

// A template on a tag is judged by what the tag names now, which is read once, and stays
// as it is. Where the tag points later its Pods are pinned and judged anew.
func TestTemplateOnATagIsJudgedAndStays(t *testing.T) {
	t.Parallel()
	w, signed, _ := twoVersions(t)
	seen := &readings{tags: map[string]int{}}
	at := front(t, w, seen.handle)
	r := open(t, w, setup{config: rego.Config{Tags: "pods"}})
	if got := r.mutate(t, deployment(at(byTag(t, w, "app")))); len(got.Patch) > 0 || len(got.Warnings) > 0 {
		t.Errorf("got %s, want no patch", encode(t, got))
	}
	d := decideOn(t, r, deployment(at(byTag(t, w, "app"))))
	if !d.Allowed || d.Images[0].Digest != signed || len(d.Patch) > 0 {
		t.Errorf("got %s, want it admitted as it is, for %s", encode(t, d), signed)
	}
	if d := decideOn(t, r, deployment(at(byTag(t, w, "evil")))); d.Allowed {
		t.Errorf("got %s, want the unsigned image denied", encode(t, d))
	}
	for tag, n := range seen.tags {
		if !strings.HasSuffix(tag, ".sig") && !strings.HasPrefix(tag, "sha256-") && n != 1 {
			t.Errorf("got %d readings of tag %s, want one", n, tag)
		}
	}
}

// decideOn decides about any review.
func decideOn(t testing.TB, r *rig, request []byte) rego.Decision {
	t.Helper()
	if !json.Valid(request) {
		t.Fatalf("got %s, want JSON", request)
	}
	d, err := r.Decide(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

package world_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/assay-dev/assay/world"
)

// get is the body of the registry's answer.
func get(t *testing.T, w *world.World, path string) (status int, body string) {
	t.Helper()
	answer, err := http.Get("http://" + w.Registry() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(data)
}

func TestImageDigestsDependOnTheDescriptionAlone(t *testing.T) {
	t.Parallel()
	const yaml = signers + `
images:
  app: {config: {user: "65532", labels: {a: b}}, files: {a: b, c: d}, signatures: [{signer: release}]}
  other: {}
  index: {platforms: [linux/amd64, linux/arm64/v8]}
`
	first, second := open(t, yaml), open(t, yaml)
	seen := map[string]bool{}
	for _, image := range []string{"app", "other", "index"} {
		_, got, _ := first.Image(image)
		_, want, _ := second.Image(image)
		if got != want {
			t.Errorf("%s: got %s and %s", image, got, want)
		}
		seen[got] = true
	}
	if got, want := len(seen), 3; got != want {
		t.Errorf("got %d digests, want %d", got, want)
	}
	changed := open(t, strings.Replace(yaml, "65532", "0", 1))
	_, got, _ := changed.Image("app")
	if _, want, _ := first.Image("app"); got == want {
		t.Errorf("got %s for another user too", got)
	}
}

func TestImageIsWhatTheDescriptionSays(t *testing.T) {
	t.Parallel()
	w := open(t, `
images:
  app:
    repository: acme/app
    tag: v1
    platforms: [linux/amd64, linux/arm64]
    config: {user: "65532", created: 2026-01-02T03:04:05Z, entrypoint: [/app], labels: {team: payments}}
    files: {/etc/os-release: ID=debian}
`)
	ref, digest, ok := w.Image("app")
	if want := w.Registry() + "/acme/app:v1"; !ok || ref != want {
		t.Fatalf("got %s, %t, want %s", ref, ok, want)
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := index.Digest(); err != nil || got.String() != digest {
		t.Errorf("got %s, %v, want %s", got, err, digest)
	}
	list, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, d := range list.Manifests {
		platforms = append(platforms, d.Platform.String())
		image, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		got := []any{config.Config.User, config.Config.Entrypoint, config.Config.Labels, config.Created.UTC(), config.Architecture}
		want := []any{"65532", []string{"/app"}, map[string]string{"team": "payments"},
			time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), d.Platform.Architecture}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		layers, err := image.Layers()
		if err != nil {
			t.Fatal(err)
		}
		content, err := layers[0].Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(content); err != nil || !strings.Contains(string(data), "ID=debian") {
			t.Errorf("got %d bytes, %v, want the file in them", len(data), err)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, platforms); diff != "" {
		t.Error(diff)
	}
	if _, _, ok := w.Image("nobody"); ok {
		t.Error("got an image called nobody")
	}
}

func TestReferrers(t *testing.T) {
	t.Parallel()
	const evidence = "{signer: release, format: bundle}, {signer: laptop, format: bundle, copies: 2}"
	for way, status := range map[string]int{"api": http.StatusOK, "tag": http.StatusNotFound} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := open(t, "referrers: "+way+"\n"+withImage("signatures", evidence))
			_, digest, _ := w.Image("app")
			if got, body := get(t, w, "/v2/app/referrers/"+digest); got != status {
				t.Errorf("got status %d, want %d: %s", got, status, body)
			}
			all := bundles(t, w, "app")
			if got, want := len(all), 3; got != want {
				t.Fatalf("got %d bundles, want %d", got, want)
			}
			_, err := verifyBundle(t, w, "app", all[0], "")
			checkRefusal(t, err, "")
			if diff := cmp.Diff(all[1], all[2]); diff != "" {
				t.Error("got different copies")
			}
		})
	}
}

func TestCopiesRepeatTheLayer(t *testing.T) {
	t.Parallel()
	w := open(t, withImage("signatures", "{signer: release, fault: signature-tampered, copies: 60}, {signer: release}"))
	list := legacy(t, w, "app", "sig")
	if got, want := len(list), 61; got != want {
		t.Fatalf("got %d layers, want %d", got, want)
	}
	checkRefusal(t, verifyLegacy(t, w, "app", list[59], keyless()), "invalid signature")
	checkRefusal(t, verifyLegacy(t, w, "app", list[60], keyless()), "")
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	w := open(t, "images: {app: {}}")
	if got := w.Requests(); len(got) != 0 {
		t.Errorf("got %q before any request", got)
	}
	get(t, w, "/v2/")
	get(t, w, "/v2/app/manifests/latest?x=1")
	want := []string{"GET /v2/", "GET /v2/app/manifests/latest?x=1"}
	if diff := cmp.Diff(want, w.Requests()); diff != "" {
		t.Error(diff)
	}
	w.ResetRequests()
	if got := w.Requests(); len(got) != 0 {
		t.Errorf("got %q after the reset", got)
	}
}

func TestHandlerServesElsewhereAndCounts(t *testing.T) {
	t.Parallel()
	w := open(t, "images: {app: {}}")
	answer := httptest.NewRecorder()
	w.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodHead, "/v2/app/manifests/latest", nil))
	if got, want := answer.Code, http.StatusOK; got != want {
		t.Errorf("got status %d, want %d", got, want)
	}
	if got, want := w.Requests(), []string{"HEAD /v2/app/manifests/latest"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLatencyIsPerRequestAndEndsWithIt(t *testing.T) {
	t.Parallel()
	const latency = 20 * time.Millisecond
	w := open(t, "images: {app: {}}")
	w.SetLatency(latency)
	start := time.Now()
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { get(t, w, "/v2/") })
	}
	all.Wait()
	if got := time.Since(start); got < latency {
		t.Errorf("got %s, want at least %s", got, latency)
	}
	w.SetLatency(time.Hour)
	client := http.Client{Timeout: time.Millisecond}
	if _, err := client.Get("http://" + w.Registry() + "/v2/"); err == nil {
		t.Error("got an answer, want a time-out")
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	w := open(t, signers+"images: {app: {repository: acme/app, tag: v1}}")
	host := w.Registry()
	_, digest, _ := w.Image("app")
	pem, _ := w.PublicKey("deploy")
	lines := strings.Split(strings.TrimSuffix(string(pem), "\n"), "\n")
	tests := map[string]struct{ text, want string }{
		"the registry":           {"${registry}/**", host + "/**"},
		"a reference by tag":     {"image: ${app}", "image: " + host + "/acme/app:v1"},
		"a reference by digest":  {"${app@}", host + "/acme/app@" + digest},
		"a digest":               {"${digest:app}", digest},
		"two in a line":          {"${app} ${digest:app}", host + "/acme/app:v1 " + digest},
		"a key in a block":       {"data: |\n    ${key:deploy}\nnext: 1", "data: |\n    " + strings.Join(lines, "\n    ") + "\nnext: 1"},
		"a keyless signer's key": {"${key:release}", "${key:release}"},
		"what it does not know":  {"${nobody} ${HOME} $app {app}", "${nobody} ${HOME} $app {app}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, w.Expand(test.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got, want := w.Redact(w.Expand("${app@} and ${app}")), "registry.example/acme/app@"+digest+" and registry.example/acme/app:v1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPublicKeyIsOfKeySignersOnly(t *testing.T) {
	t.Parallel()
	w := open(t, signers)
	if _, ok := w.PublicKey("deploy"); !ok {
		t.Error("got no key of deploy")
	}
	if _, ok := w.PublicKey("release"); ok {
		t.Error("got a key of a keyless signer")
	}
}

func TestCloseStopsTheRegistry(t *testing.T) {
	t.Parallel()
	d, err := world.Parse([]byte("images: {app: {}}"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(d)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := http.Get("http://" + w.Registry() + "/v2/"); err == nil {
		t.Error("got an answer from a closed world")
	}
}

// The shapes are cosign's: a claim that names the image, a statement that marks
// itself as a signature.
func TestPayloads(t *testing.T) {
	t.Parallel()
	w := open(t, withImage("signatures", "{signer: release}, {signer: release, format: bundle}"))
	_, digest, _ := w.Image("app")
	payload, err := legacy(t, w, "app", "sig")[0].Payload()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"critical":{"identity":{"docker-reference":"registry.example/app"},"image":{"docker-manifest-digest":"` +
		digest + `"},"type":"cosign container image signature"},"optional":null}`
	if diff := cmp.Diff(want, w.Redact(string(payload))); diff != "" {
		t.Error(diff)
	}
	var bundle struct {
		DsseEnvelope struct{ Payload []byte }
	}
	if err := json.Unmarshal(bundles(t, w, "app")[0], &bundle); err != nil {
		t.Fatal(err)
	}
	var statement struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
	}
	if err := json.Unmarshal(bundle.DsseEnvelope.Payload, &statement); err != nil {
		t.Fatal(err)
	}
	if got, want := statement.Type+" "+statement.PredicateType, "https://in-toto.io/Statement/v1 https://sigstore.dev/cosign/sign/v1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkNew(b *testing.B) {
	d, err := world.Parse([]byte(signers + `
images:
  app: {signatures: [{signer: release}], attestations: [{signer: release, predicateType: p}]}
  modern: {signatures: [{signer: release, format: bundle, log: rekor2, timestamp: true}]}
  unsigned: {}
`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		w, err := world.New(d)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

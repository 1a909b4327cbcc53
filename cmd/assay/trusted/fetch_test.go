package trusted

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

func writeFile(t testing.TB, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serving is the content of the file that OPA reads, nil where there is none.
func serving(t testing.TB, f *Fetcher) []byte {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what there is, now
	body, _ := f.Next(ctx, "")
	return body
}

func TestFetchRefusesAndLeavesAllAsItIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		arrange func(t *testing.T, l *lab) // a second bundle under the tag
		change  func(*testing.T, *Options)
		want    error
		says    string
	}{
		{"nobody signed", func(t *testing.T, l *lab) { l.push(t, "latest", "2") }, nil, ErrDenied, "no signatures found"},
		{"somebody else signed", func(t *testing.T, l *lab) { l.sign(t, l.push(t, "latest", "2"), "fork") }, nil, ErrDenied, "none of the expected identities matched"},
		{"somebody whose name begins like the right one", func(t *testing.T, l *lab) { l.sign(t, l.push(t, "latest", "2"), "other") }, nil, ErrDenied, "none of the expected identities matched"},
		{"with the signature of another bundle", func(t *testing.T, l *lab) {
			signed := l.push(t, "signed", "3")
			l.sign(t, signed, "ci")
			l.copyManifest(t, signaturesOf(signed), signaturesOf(l.push(t, "latest", "2")))
		}, nil, ErrDenied, "digest"},
		{"a delta", func(t *testing.T, l *lab) {
			l.sign(t, l.pushBytes(t, "latest", archived(t, []string{
				".manifest", `{"revision":"2","roots":["a"]}`, "patch.json", `{"data":[{"op":"upsert","path":"/a/b","value":1}]}`,
			})), "ci")
		}, nil, ErrDelta, "want a whole bundle"},
		{"another bundle of the same signer", func(t *testing.T, l *lab) {
			l.sign(t, l.pushBytes(t, "latest", saying(t, "2", archive.About{Format: archive.Format, Name: "candidate"})), "ci")
		}, nil, nil, `metadata.assay.name: got "candidate", want "prod"`},
		{"an expired one", func(t *testing.T, l *lab) { l.sign(t, l.pushBytes(t, "latest", packed(t, "2", testTime)), "ci") }, func(_ *testing.T, o *Options) {
			o.Now = func() time.Time { return testTime }
		}, fresh.ErrExpired, "2026-11-26T12:00:00Z"},
		{"a revision below one that was active", func(t *testing.T, l *lab) { l.sign(t, l.push(t, "latest", "2"), "ci") }, func(t *testing.T, o *Options) {
			o.Floors = floors(t, "7")
		}, fresh.ErrBackwards, `got revision "2", want at least "7"`},
		{"a revision below the minimum", func(t *testing.T, l *lab) { l.sign(t, l.push(t, "latest", "2"), "ci") }, func(_ *testing.T, o *Options) {
			o.Minimum = "2.1"
		}, fresh.ErrBackwards, `the minimum "2.1"`},
		{"a revision without an order", func(t *testing.T, l *lab) { l.sign(t, l.push(t, "latest", "main"), "ci") }, nil, fresh.ErrUnordered, `got "main"`},
		{"what is no bundle", func(t *testing.T, l *lab) {
			l.sign(t, l.pushBytes(t, "latest", archived(t, []string{"../etc/passwd", "root"})), "ci")
		}, nil, nil, "../etc/passwd"},
		{"more than a bundle may be", func(t *testing.T, l *lab) { l.sign(t, l.push(t, "latest", "2"), "ci") }, func(_ *testing.T, o *Options) {
			o.Limits = archive.Limits{Compressed: 64}
		}, oci.TooLarge, "want at most 64"},
		{"what is no image", func(t *testing.T, l *lab) {
			_, digest, _ := strings.Cut(l.push(t, "latest", "2"), "@")
			l.on("/manifests/", func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "latest") || strings.HasSuffix(r.URL.Path, digest) {
					_, _ = w.Write([]byte(`{"schemaVersion":2}`))
					return
				}
				l.Handler().ServeHTTP(w, r)
			})
		}, nil, ErrDenied, "no signatures found"},
		{"a registry that breaks down", func(_ *testing.T, l *lab) {
			l.on("/v2/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		}, nil, oci.Unreachable, "got status 500"},
		{"a registry that has it no more", func(_ *testing.T, l *lab) {
			l.on("/manifests/latest", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
		}, nil, oci.NotFound, "got status 404"},
		{"a registry that lies about the bytes", func(t *testing.T, l *lab) {
			l.sign(t, l.push(t, "latest", "2"), "ci")
			bundle := bundleOf(t, "2")
			l.on("/blobs/", other(l, bundle, bytes.Repeat([]byte("x"), len(bundle))))
		}, nil, oci.DigestMismatch, "got bytes with digest"},
		{"a registry that sends another bundle of the signer", func(t *testing.T, l *lab) {
			l.sign(t, l.push(t, "latest", "2"), "ci")
			l.on("/blobs/", other(l, bundleOf(t, "2"), bundleOf(t, "1")))
		}, nil, oci.DigestMismatch, "digest"},
		{"a registry that does not end", func(t *testing.T, l *lab) {
			l.sign(t, l.push(t, "latest", "2"), "ci")
			l.on("/blobs/", other(l, bundleOf(t, "2"), make([]byte, 1<<20)))
		}, nil, oci.DigestMismatch, "want the"},
		{"a registry that leads to the metadata service", func(t *testing.T, l *lab) {
			l.sign(t, l.push(t, "latest", "2"), "ci")
			l.on("/blobs/", func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
			})
		}, nil, ErrDenied, "169.254.169.254"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, dir := newLab(t), t.TempDir()
			l.sign(t, l.push(t, "latest", "1"), "ci")
			if _, err := l.fetcher(t, dir, nil).Fetch(t.Context()); err != nil {
				t.Fatal(err)
			}
			tt.arrange(t, l)
			f := l.fetcher(t, dir, func(o *Options) {
				if tt.change != nil {
					tt.change(t, o)
				}
			})
			before := entries(t, dir)
			_, err := f.Fetch(t.Context())
			refuses(t, err, tt.says)
			refuses(t, err, `bundle "prod"`)
			if tt.want != nil {
				refuses(t, err, "", tt.want)
			}
			if serving(t, f) != nil {
				t.Error("got a bundle to activate, want none")
			}
			if diff := cmp.Diff(before, entries(t, dir)); diff != "" {
				t.Errorf("-before +after:\n%s", diff)
			}
		})
	}
}

// other answers requests for a blob with other bytes.
func other(l *lab, blob, bytes []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, digestOf(blob)) {
			_, _ = w.Write(bytes)
			return
		}
		l.Handler().ServeHTTP(w, r)
	}
}

func digestOf(content []byte) string { return kept{manifest: content}.digest() }

func TestFetchBringsWhatIsSigned(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	at := l.push(t, "latest", "1")
	l.sign(t, at, "ci")
	f := l.fetcher(t, dir, nil)
	got, err := f.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, digest, _ := strings.Cut(at, "@")
	if want := (Result{Changed: true, Digest: digest, Revision: "1"}); !cmp.Equal(want, got) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !bytes.Equal(serving(t, f), bundleOf(t, "1")) {
		t.Error("got another file, want the bundle")
	}
	for _, revision := range []string{"2", "3", "4"} {
		if err := f.Keep(f.fetched()); err != nil {
			t.Fatal(err)
		}
		l.sign(t, l.push(t, "latest", revision), "ci")
		awaitTag(t, f)
		if got, err = f.Fetch(t.Context()); err != nil || got.Revision != revision || !got.Changed {
			t.Fatalf("got %+v, %v, want revision %s", got, err, revision)
		}
	}
	if !bytes.Equal(serving(t, f), bundleOf(t, "4")) {
		t.Error("got another one, want the newest bundle")
	}
	if got := entries(t, dir); len(got) != 4 {
		t.Errorf("got %q, want two directories and two links", got)
	}
}

// awaitTag has the client ask for the tag anew, which it remembers for a second.
func awaitTag(t testing.TB, f *Fetcher) {
	t.Helper()
	again, err := NewPolicy(t.Context(), f.options.Policy.wiring.Flags, f.options.Policy.wiring.Flags.Policies)
	if err != nil {
		t.Fatal(err)
	}
	f.options.Policy = again
}

// TestUnchangedIsOneRequest: what thousand clusters ask while nothing happens.
func TestUnchangedIsOneRequest(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	l.sign(t, l.push(t, "latest", "1"), "ci")
	f := l.fetcher(t, dir, nil)
	first, err := f.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	awaitTag(t, f)
	l.requests()
	got, err := f.Fetch(t.Context())
	first.Changed = false
	if err != nil || !cmp.Equal(first, got) {
		t.Errorf("got %+v, %v, want %+v", got, err, first)
	}
	if diff := cmp.Diff([]string{"GET /v2/", "GET /v2/acme/policies/manifests/latest"}, l.requests()); diff != "" {
		t.Errorf("-want +got:\n%s", diff) // the first is how a client begins, once in five minutes
	}
}

// TestMovedTag: between the decision and the pull, and back to one that was signed before.
func TestMovedTag(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	old := l.push(t, "latest", "1")
	l.sign(t, old, "ci")
	evil := l.push(t, "evil", "9")
	current := l.push(t, "latest", "2")
	l.sign(t, current, "ci")
	l.on(".sig", func(w http.ResponseWriter, r *http.Request) {
		l.tag(t, "latest", evil)
		l.Handler().ServeHTTP(w, r)
	})
	floors := floors(t, "2")
	f := l.fetcher(t, dir, func(o *Options) { o.Floors = floors })
	got, err := f.Fetch(t.Context())
	if err != nil || got.Revision != "2" || !bytes.Equal(serving(t, f), bundleOf(t, "2")) {
		t.Fatalf("got %+v, %v, want revision 2, whatever the tag names by then", got, err)
	}
	l.on("", nil)
	l.tag(t, "latest", old)
	awaitTag(t, f)
	_, err = f.Fetch(t.Context())
	refuses(t, err, `got revision "1", want at least "2"`, fresh.ErrBackwards)
	if !bytes.Equal(serving(t, f), bundleOf(t, "2")) {
		t.Error("got an older bundle, want the newer one to serve on")
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.sign(t, l.push(t, "latest", "1"), "ci")
	ctx, cancel := context.WithCancel(t.Context())
	f := l.fetcher(t, t.TempDir(), nil)
	over := make(chan struct{})
	t.Cleanup(func() { close(over) }) // what is shared has a time of its own
	l.on("/manifests/latest", func(http.ResponseWriter, *http.Request) { cancel(); <-over })
	_, err := f.Fetch(ctx)
	refuses(t, err, "", oci.Timeout)
}

func TestNewFetcherRefuses(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	policy := l.policy(t, keyless)
	for _, tt := range []struct {
		name, says string
		options    Options
	}{
		{"no policy", "got no bundle trust", Options{Name: "prod", Ref: "ghcr.io/acme/policies", Dir: "x"}},
		{"no directory", "got no directory", Options{Name: "prod", Ref: "ghcr.io/acme/policies", Policy: policy}},
		{"no reference", `bundle "prod": malformed`, Options{Name: "prod", Ref: "GHCR.io/A B", Dir: "x", Policy: policy}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := NewFetcher(tt.options)
			refuses(t, err, tt.says)
		})
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	policy := l.policy(t, keyless)
	at := l.push(t, "latest", "1")
	_, err := Verify(t.Context(), policy, l.host+"/acme/policies:latest", 1<<20)
	refuses(t, err, "no signatures found", ErrDenied)
	policy = l.policy(t, keyless)
	l.sign(t, at, "ci")
	for _, ref := range []string{at, l.host + "/acme/policies:latest"} {
		got, err := Verify(t.Context(), policy, ref, 1<<20)
		if err != nil || got.Ref != at || !bytes.Equal(got.Bundle, bundleOf(t, "1")) {
			t.Errorf("%s: got %s, %v, want %s", ref, got.Ref, err, at)
		}
		want := []string{"policies: authority-0: signed by " + subject + ", says " + issuer}
		if diff := cmp.Diff(want, got.Signers); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

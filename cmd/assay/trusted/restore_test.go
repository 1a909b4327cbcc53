package trusted

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/exchange"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/rego/bundle/fresh"
	"github.com/assay-dev/assay/world"
)

// keptIn fetches a signed bundle into the directory, and lets the registry be gone.
func (l *lab) keptIn(t testing.TB, dir, revision string) {
	t.Helper()
	l.sign(t, l.push(t, "latest", revision), "ci")
	f := l.fetcher(t, dir, nil)
	if _, err := f.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := f.Keep(f.fetched()); err != nil {
		t.Fatal(err)
	}
}

func TestRestoreAsksNobody(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	l.keptIn(t, dir, "1")
	l.server.Close()
	l.requests()
	f := l.fetcher(t, dir, nil)
	got, err := f.Restore(t.Context())
	if err != nil || got.Revision != "1" || !got.Changed {
		t.Fatalf("got %+v, %v, want revision 1", got, err)
	}
	if requests := l.requests(); len(requests) != 0 {
		t.Errorf("got requests %q, want none", requests)
	}
	if !bytes.Equal(serving(t, f), bundleOf(t, "1")) {
		t.Error("got another file, want the bundle")
	}
}

// TestRestoredIsNotFetchedAgain while the tag names it.
func TestRestoredIsNotFetchedAgain(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	l.keptIn(t, dir, "1")
	f := l.fetcher(t, dir, nil)
	if _, err := f.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := f.Fetch(t.Context()); err != nil || got.Changed || got.Revision != "1" {
		t.Errorf("got %+v, %v, want it unchanged", got, err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		tamper func(t *testing.T, l *lab, dir string) // of the bundle that serves
		change func(*testing.T, *Options)
		want   error
		says   string
	}{
		{"another bundle", func(t *testing.T, _ *lab, dir string) {
			replace(t, filepath.Join(dir, bundleFile), bundleOf(t, "9"))
		}, nil, ErrEvidence, "bundle: got"},
		{"a bundle cut short", func(t *testing.T, _ *lab, dir string) {
			replace(t, filepath.Join(dir, bundleFile), bundleOf(t, "1")[:50])
		}, nil, ErrEvidence, "want at most 50"},
		{"no bundle", remove(bundleFile), nil, fs.ErrNotExist, bundleFile},
		{"a manifest that leads to another bundle", func(t *testing.T, l *lab, dir string) {
			_, digest, _ := strings.Cut(l.push(t, "evil", "9"), "@")
			replace(t, filepath.Join(dir, manifestFile), l.manifest(t, digest))
			replace(t, filepath.Join(dir, bundleFile), bundleOf(t, "9"))
		}, nil, ErrEvidence, "got evidence about something else"},
		{"another spelling of the manifest", func(t *testing.T, _ *lab, dir string) {
			path := filepath.Join(dir, manifestFile)
			replace(t, path, append(readFile(t, path), '\n'))
		}, nil, ErrEvidence, "got evidence about something else"},
		{"no manifest", remove(manifestFile), nil, fs.ErrNotExist, manifestFile},
		{"evidence with another byte", func(t *testing.T, _ *lab, dir string) {
			path := filepath.Join(dir, evidenceFile)
			content := readFile(t, path)
			content[len(content)/2] ^= 1
			replace(t, path, content)
		}, nil, ErrEvidence, evidenceFile},
		{"no evidence", remove(evidenceFile), nil, fs.ErrNotExist, evidenceFile},
		{"evidence of another bundle of the signer", func(t *testing.T, l *lab, dir string) {
			at := l.push(t, "other", "8")
			l.sign(t, at, "ci")
			writeEvidence(t, dir, l.evidence(t, at))
		}, nil, ErrEvidence, "got evidence about something else"},
		{"evidence of another bundle that claims to be about this one", func(t *testing.T, l *lab, dir string) {
			at := l.push(t, "other", "8")
			l.sign(t, at, "ci")
			forged, own := l.evidence(t, at), l.digestIn(t, dir)
			_, digest, _ := strings.Cut(at, "@")
			forged = respelt(t, forged, digest, own)
			forged.Blobs[own] = readFile(t, filepath.Join(dir, manifestFile))
			writeEvidence(t, dir, forged)
		}, nil, ErrDenied, "digest"},
		{"evidence that was made for a bundle which nobody signed", func(t *testing.T, l *lab, dir string) {
			_, evil, _ := strings.Cut(l.push(t, "evil", "9"), "@")
			forged := respelt(t, readEvidence(t, dir), l.digestIn(t, dir), evil)
			forged.Blobs[evil] = l.manifest(t, evil)
			replace(t, filepath.Join(dir, manifestFile), forged.Blobs[evil])
			replace(t, filepath.Join(dir, bundleFile), bundleOf(t, "9"))
			writeEvidence(t, dir, forged)
		}, nil, ErrDenied, "digest"},
		{"evidence without what registries said", func(t *testing.T, _ *lab, dir string) {
			c := readEvidence(t, dir)
			c.Records = exchange.Records{}
			writeEvidence(t, dir, c)
		}, nil, ErrEvidence, "that it has no answer to"},
		{"evidence whose settings admit all", func(t *testing.T, l *lab, dir string) {
			at := l.push(t, "evil", "9")
			_, evil, _ := strings.Cut(at, "@")
			c := readEvidence(t, dir)
			c.Settings.Config = json.RawMessage(`{"no_match":"allow","tags":"deny","policies":"upstream"}`)
			c.Settings.AnchoredIdentities, c.Policies, c.Records = false, nil, exchange.Records{}
			review, err := reviews.Pod([]string{at})
			if err != nil {
				t.Fatal(err)
			}
			c.Review = review
			writeEvidence(t, dir, c)
			replace(t, filepath.Join(dir, manifestFile), l.manifest(t, evil))
			replace(t, filepath.Join(dir, bundleFile), bundleOf(t, "9"))
		}, nil, ErrEvidence, "that it has no answer to"},
		{"evidence with a trust root of its own", func(t *testing.T, l *lab, dir string) {
			// Another world signs the very bundle, and its root is in the evidence.
			stranger := newLab(t)
			at := stranger.push(t, "latest", "1")
			stranger.sign(t, at, "ci")
			writeEvidence(t, dir, respelt(t, stranger.evidence(t, at), stranger.host, l.host))
		}, nil, ErrDenied, ""},
		{"a link that leads elsewhere", func(t *testing.T, _ *lab, dir string) {
			relink(t, filepath.Join(filepath.Dir(dir), current), "../../elsewhere")
			relink(t, filepath.Join(filepath.Dir(dir), loading), "../../elsewhere")
		}, nil, ErrEvidence, "want one to a directory beside it"},
		{"under a policy that wants another signer", nil, func(t *testing.T, o *Options) {
			changed := strings.Replace(keyless, "push.yml", "release.yml", 1)
			p, err := NewPolicy(t.Context(), o.Policy.wiring.Flags, []string{written(t, changed)})
			if err != nil {
				t.Fatal(err)
			}
			o.Policy = p
		}, ErrDenied, "none of the expected identities matched"},
		{"under another trust root", nil, func(t *testing.T, o *Options) {
			flags := o.Policy.wiring.Flags
			flags.TrustedRoot = newLab(t).root
			p, err := NewPolicy(t.Context(), flags, flags.Policies)
			if err != nil {
				t.Fatal(err)
			}
			o.Policy = p
		}, ErrDenied, ""},
		{"for another repository", nil, func(_ *testing.T, o *Options) { o.Ref = strings.Replace(o.Ref, "acme/policies", "acme/policies-2", 1) }, ErrEvidence, "got evidence about something else"},
		{"for another digest", nil, func(_ *testing.T, o *Options) {
			o.Ref = strings.Replace(o.Ref, ":latest", "@sha256:"+strings.Repeat("0", 64), 1)
		}, ErrEvidence, "manifest.json: got digest"},
		{"one below the floor", nil, func(t *testing.T, o *Options) { o.Floors = floors(t, "2") }, fresh.ErrBackwards, `got revision "1"`},
		{"one below the minimum", nil, func(_ *testing.T, o *Options) { o.Minimum = "3" }, fresh.ErrBackwards, `the minimum "3"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, dir := newLab(t), t.TempDir()
			l.shared = l.policy(t, keyless)
			l.keptIn(t, dir, "1")
			if _, err := l.fetcher(t, dir, nil).Restore(t.Context()); err != nil {
				t.Fatalf("before anything is changed: %v", err)
			}
			to, err := os.Readlink(filepath.Join(dir, current))
			if err != nil {
				t.Fatal(err)
			}
			if tt.tamper != nil {
				tt.tamper(t, l, filepath.Join(dir, to))
			}
			f := l.fetcher(t, dir, func(o *Options) {
				if tt.change != nil {
					tt.change(t, o)
				}
			})
			_, err = f.Restore(t.Context())
			refuses(t, err, tt.says, tt.want)
			refuses(t, err, `bundle "prod": restore`)
		})
	}
}

func TestRestoreRefusesWhatHasExpired(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	l.sign(t, l.pushBytes(t, "latest", packed(t, "1", testTime.Add(time.Hour))), "ci")
	now := testTime
	f := l.fetcher(t, dir, func(o *Options) { o.Now = func() time.Time { return now } })
	got, err := f.Fetch(t.Context())
	if err != nil || !got.Expires.Equal(testTime.Add(time.Hour)) {
		t.Fatalf("got %+v, %v, want the time that it holds until", got, err)
	}
	if err := f.Keep(f.fetched()); err != nil {
		t.Fatal(err)
	}
	now = testTime.Add(time.Hour)
	_, err = f.Restore(t.Context())
	refuses(t, err, "2026-11-26T13:00:00Z", fresh.ErrExpired)
}

func TestNothingToRestore(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	_, err := l.fetcher(t, filepath.Join(t.TempDir(), "none"), nil).Restore(t.Context())
	refuses(t, err, "restore", fs.ErrNotExist)
}

// TestOnlyWhatIsActiveIsKept: a restart finds that, and not what was fetched since.
func TestOnlyWhatIsActiveIsKept(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	l.keptIn(t, dir, "1")
	f := l.fetcher(t, dir, nil)
	if _, err := f.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := f.fetched()
	l.sign(t, l.push(t, "latest", "2"), "ci")
	if got, err := f.Fetch(t.Context()); err != nil || got.Revision != "2" || !bytes.Equal(serving(t, f), bundleOf(t, "2")) {
		t.Fatalf("got %+v, %v, want revision 2", got, err)
	}
	if err := f.Keep(first); err != nil {
		t.Fatal(err)
	}
	if got, err := l.fetcher(t, dir, nil).Restore(t.Context()); err != nil || got.Revision != "1" {
		t.Errorf("after a restart before it is active: got %+v, %v, want revision 1", got, err)
	}
	if err := f.Keep(f.fetched()); err != nil {
		t.Fatal(err)
	}
	if got, err := l.fetcher(t, dir, nil).Restore(t.Context()); err != nil || got.Revision != "2" {
		t.Errorf("after a restart: got %+v, %v, want revision 2", got, err)
	}
}

// TestAProcessThatDiedBeforeItKept what it made active: the floor is raised already.
func TestAProcessThatDiedBeforeItKept(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	l.keptIn(t, dir, "1")
	f := l.fetcher(t, dir, nil)
	if _, err := f.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.sign(t, l.push(t, "latest", "2"), "ci")
	if _, err := f.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	floors, err := fresh.Open("")
	if err == nil {
		err = floors.Raise("prod", "2", "")
	}
	if err != nil {
		t.Fatal(err)
	}
	again := l.fetcher(t, dir, func(o *Options) { o.Floors = floors })
	if got, err := again.Restore(t.Context()); err != nil || got.Revision != "2" || !bytes.Equal(serving(t, again), bundleOf(t, "2")) {
		t.Errorf("got %+v, %v, want revision 2", got, err)
	}
}

// TestWhoWaitsHearsOfAnotherBundle and of no file that somebody wrote meanwhile.
func TestWhoWaitsHearsOfAnotherBundle(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	l.keptIn(t, dir, "1")
	f := l.fetcher(t, dir, nil)
	if _, err := f.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(dir, current, bundleFile), bundleOf(t, "9"))
	if !bytes.Equal(serving(t, f), bundleOf(t, "1")) {
		t.Error("got other bytes than those that were verified")
	}
	heard := make(chan []byte)
	go func() {
		body, _ := f.Next(t.Context(), f.fetched())
		heard <- body
	}()
	l.sign(t, l.push(t, "latest", "2"), "ci")
	awaitTag(t, f)
	if _, err := f.Fetch(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(<-heard, bundleOf(t, "2")) {
		t.Error("got other bytes, want revision 2")
	}
}

// TestWhatADeadProcessLeft is removed, and nothing else.
func TestWhatADeadProcessLeft(t *testing.T) {
	t.Parallel()
	l, dir := newLab(t), t.TempDir()
	writeFile(t, dir, unfinished+"-123/"+bundleFile, "half")
	writeFile(t, dir, prefix+"000000000000-1/"+bundleFile, "older")
	writeFile(t, dir, "mine/notes", "of somebody")
	if err := os.Symlink("nowhere", filepath.Join(dir, unfinished+"-"+current)); err != nil {
		t.Fatal(err)
	}
	l.keptIn(t, dir, "1")
	got := entries(t, dir)
	if len(got) != 4 || got[1] != current || got[2] != loading || got[3] != "mine" {
		t.Errorf("got %q, want the bundle, its links, and what is somebody's", got)
	}
}

func TestAdmitWantsADigest(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.policy(t, keyless)
	_, err := p.Admit(t.Context(), l.host+"/acme/policies:latest")
	refuses(t, err, "got a tag, want a digest")
	refuses(t, p.Again(t.Context(), &capsule.Capsule{}, l.host+"/acme/policies:latest"), "got a tag, want a digest")
	at := l.push(t, "latest", "1")
	refuses(t, p.Again(t.Context(), &capsule.Capsule{}, at), "got evidence about something else", ErrEvidence)
}

// TestFormats: cosign of every age may have signed.
func TestFormats(t *testing.T) {
	t.Parallel()
	bundles := strings.Replace(keyless, "  - keyless:", "  - signatureFormat: bundle\n    keyless:", 1)
	for name, tt := range map[string]struct {
		policy string
		format world.Format
	}{"legacy": {keyless, world.Legacy}, "bundle": {bundles, world.Bundle}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			at := l.push(t, "latest", "1")
			if err := l.Sign(at, world.Signature{Signing: world.Signing{Signer: "ci", Format: tt.format}}); err != nil {
				t.Fatal(err)
			}
			p := l.policy(t, tt.policy)
			evidence, err := p.Admit(t.Context(), at)
			if err != nil {
				t.Fatal(err)
			}
			l.server.Close()
			if err := l.policy(t, tt.policy).Again(t.Context(), evidence, at); err != nil {
				t.Error(err)
			}
		})
	}
}

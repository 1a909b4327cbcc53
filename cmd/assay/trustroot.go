package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/rego/cip"
)

// namedRoots are the TrustRoots of a policy set, by name. Each is asked anew in
// every decision: what is fetched, grows stale or expires does so between two.
type namedRoots map[string]keptRoot

// keptRoot is a source with what it was made of.
type keptRoot struct {
	rootSource
	made string
}

// archivedRoot is a repository that came along: it ends when its metadata does.
type archivedRoot struct{ *trust.Archive }

func (r archivedRoot) serving() (*trust.Root, string) { return r.Serving(time.Now()) }
func (r archivedRoot) refresh(context.Context) error  { return nil }

// noRoot is a TrustRoot of which none can be made. What relies on it is denied with
// the cause, and nothing else is.
type noRoot struct{ cause string }

func (r noRoot) serving() (*trust.Root, string) { return nil, r.cause }
func (r noRoot) refresh(context.Context) error  { return nil }

// rootsOf makes the sources of TrustRoots. One that says what it said before is the
// one of before, with all that it has fetched; one that could not be made is tried
// again, for the clock may have been wrong.
func (w *wiring) rootsOf(resources []cip.TrustRoot) namedRoots {
	out := namedRoots{}
	for _, resource := range resources {
		made := contentOf(resource)
		if before, ok := w.named[resource.Name]; ok && before.made == made {
			if _, failed := before.rootSource.(noRoot); !failed {
				out[resource.Name] = before
				continue
			}
		}
		source, err := w.rootOf(resource)
		if err != nil {
			source = noRoot{err.Error()}
		}
		out[resource.Name] = keptRoot{source, made}
	}
	w.named = out
	return out
}

func (w *wiring) rootOf(resource cip.TrustRoot) (rootSource, error) {
	spec := resource.Spec
	switch {
	case spec.Repository != nil:
		archive, err := trust.OpenArchive(*spec.Repository, time.Now())
		return archivedRoot{archive}, err
	case spec.Remote != nil:
		// Two TrustRoots of one mirror need not believe the same.
		own := sha256.Sum256(fmt.Appendf(nil, "%q %q", resource.Name, spec.Remote.Root))
		repository, err := tuf.New(tuf.Options{
			Mirror: string(spec.Remote.Mirror), Root: spec.Remote.Root,
			Targets: spec.Remote.Targets, Target: spec.Remote.TrustedRootTarget,
			Cache:    filepath.Join(w.flags.tuf.cacheDirectory(), "trustroots", hex.EncodeToString(own[:16])),
			MaxStale: w.flags.tuf.maxStale,
		})
		return repositoryRoot{repository}, err
	case spec.SigstoreKeys != nil:
		root, err := trust.FromKeys(spec.SigstoreKeys)
		return givenRoot{root}, err
	}
	return nil, fmt.Errorf("got none of spec.remote, spec.repository and spec.sigstoreKeys")
}

// contentOf names what TrustRoots say.
func contentOf(resources ...cip.TrustRoot) string {
	text, err := json.Marshal(resources)
	if err != nil {
		return err.Error() // they were JSON before
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// roots are those that serve now, with the causes of those that do not.
func (n namedRoots) roots() trust.Roots {
	out := trust.Roots{Named: map[string]*trust.Root{}, Causes: map[string]string{}}
	for name, source := range n {
		if root, cause := source.serving(); root != nil {
			out.Named[name] = root
		} else {
			out.Causes[name] = cmp.Or(cause, "there is none")
		}
	}
	return out
}

// warnings say which TrustRoots there is no root of, and will not be.
func (n namedRoots) warnings() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(n)) {
		if _, remote := n[name].rootSource.(repositoryRoot); remote {
			continue
		}
		if root, cause := n[name].serving(); root == nil {
			out = append(out, fmt.Sprintf("TrustRoot %s: %s: whatever refers to it is denied", name, cause))
		}
	}
	return out
}

// wanted are the sources that policies rely on, by name; the empty one is the default.
func (d *documents) wanted(defaultRoot rootSource) map[string]rootSource {
	out := map[string]rootSource{}
	if d.needs("") {
		out[""] = defaultRoot
	}
	for name, source := range d.named {
		if d.needs(name) {
			out[name] = source.rootSource
		}
	}
	return out
}

// refreshAll gets roots anew, all at once, and says by name what went wrong.
func refreshAll(ctx context.Context, sources map[string]rootSource) map[string]error {
	var mu sync.Mutex
	failed := map[string]error{}
	var wait sync.WaitGroup
	for name, source := range sources {
		wait.Go(func() {
			if err := source.refresh(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[name] = err
			}
		})
	}
	wait.Wait()
	return failed
}

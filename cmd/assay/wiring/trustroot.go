package wiring

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/builtins/sigstore/tuf"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/kube/status"
	"github.com/assay-dev/assay/rego/cip"
)

// NamedRoots are the TrustRoots of a policy set, by name. Each is asked anew in
// every decision: what is fetched, grows stale or expires does so between two.
type NamedRoots map[string]KeptRoot

// KeptRoot is a source with what it was made of.
type KeptRoot struct {
	RootSource
	made string
}

// archivedRoot is a repository that came along: it ends when its metadata does.
type archivedRoot struct{ *trust.Archive }

func (r archivedRoot) Serving() (*trust.Root, string) { return r.Archive.Serving(time.Now()) }
func (r archivedRoot) Refresh(context.Context) error  { return nil }

// noRoot is a TrustRoot of which none can be made. What relies on it is denied with
// the cause, and nothing else is.
type noRoot struct{ cause string }

func (r noRoot) Serving() (*trust.Root, string) { return nil, r.cause }
func (r noRoot) Refresh(context.Context) error  { return nil }

// rootsOf makes the sources of TrustRoots. One that says what one of those that serve says is
// that one, with all that it has fetched; one that could not be made is tried again, for the
// clock may have been wrong.
func (w *Wiring) rootsOf(resources []cip.TrustRoot) NamedRoots {
	out := NamedRoots{}
	for _, resource := range resources {
		made := contentOf(resource)
		if before, ok := w.named[resource.Name]; ok && before.made == made {
			if _, failed := before.RootSource.(noRoot); !failed {
				out[resource.Name] = before
				continue
			}
		}
		source, err := w.rootOf(resource)
		if err != nil {
			source = noRoot{err.Error()}
		}
		out[resource.Name] = KeptRoot{source, made}
	}
	return out
}

func (w *Wiring) rootOf(resource cip.TrustRoot) (RootSource, error) {
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
			Cache:    filepath.Join(w.Flags.TUF.cacheDirectory(), "trustroots", hex.EncodeToString(own[:16])),
			MaxStale: w.Flags.TUF.MaxStale,
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

// Roots are those that serve now, with the causes of those that do not.
func (n NamedRoots) Roots() trust.Roots {
	out := trust.Roots{Named: map[string]*trust.Root{}, Causes: map[string]string{}}
	for name, source := range n {
		if root, cause := source.Serving(); root != nil {
			out.Named[name] = root
		} else {
			out.Causes[name] = cmp.Or(cause, "there is none")
		}
	}
	return out
}

// Outcomes are what became of them, for their status, by kind and name. One that could not be
// refreshed serves as it was, and somebody has to look after its mirror.
func (n NamedRoots) Outcomes() map[string]status.Outcome {
	out := map[string]status.Outcome{}
	for name, source := range n {
		outcome := status.Outcome{}
		if root, cause := source.Serving(); root == nil {
			outcome.Unresolved = map[string]string{"spec": cmp.Or(cause, "there is none")}
		} else if failure := RootFailure(source); failure != nil {
			outcome.Stale = []string{fmt.Sprintf("spec: %v", failure)}
		}
		out["TrustRoot "+name] = outcome
	}
	return out
}

// unmade are those of which no root could be made. It is tried again.
func (n NamedRoots) unmade() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(n)) {
		if _, failed := n[name].RootSource.(noRoot); failed {
			out = append(out, name)
		}
	}
	return out
}

// warnings say which TrustRoots there is no root of, and will not be.
func (n NamedRoots) warnings() (out []string) {
	for _, name := range slices.Sorted(maps.Keys(n)) {
		if _, remote := n[name].RootSource.(repositoryRoot); remote {
			continue
		}
		if root, cause := n[name].Serving(); root == nil {
			out = append(out, fmt.Sprintf("TrustRoot %s: %s: whatever refers to it is denied", name, cause))
		}
	}
	return out
}

// Wanted are the sources that policies rely on, by name; the empty one is the default.
func (d *Documents) Wanted(defaultRoot RootSource) map[string]RootSource {
	out := map[string]RootSource{}
	if d.needs("") {
		out[""] = defaultRoot
	}
	for name, source := range d.Named {
		if d.needs(name) {
			out[name] = source.RootSource
		}
	}
	return out
}

// RefreshAll gets roots anew, all at once, and says by name what went wrong.
func RefreshAll(ctx context.Context, sources map[string]RootSource) map[string]error {
	var mu sync.Mutex
	failed := map[string]error{}
	var wait sync.WaitGroup
	for name, source := range sources {
		wait.Go(func() {
			if err := source.Refresh(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[name] = err
			}
		})
	}
	wait.Wait()
	return failed
}

// Refresh gets roots once and within the time. Warnings begin with the words of the caller.
func Refresh(ctx context.Context, wanted map[string]RootSource, within time.Duration, warning string, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	failed := RefreshAll(ctx, wanted)
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		// The cache may do; a decision without any default root would only deny.
		switch root, _ := wanted[name].Serving(); {
		case root == nil && name == "":
			return failed[name]
		case root == nil:
			fmt.Fprintf(stderr, "%s TrustRoot %s: %s: whatever refers to it is denied\n", warning, plain.Line(name), plain.Below(failed[name].Error()))
		default:
			fmt.Fprintln(stderr, warning, "trust root from the cache:", plain.Below(failed[name].Error()))
		}
	}
	return nil
}

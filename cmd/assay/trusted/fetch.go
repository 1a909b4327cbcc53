package trusted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/artifact"
	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/fresh"
)

// ErrDelta is a bundle that only patches another one: what it makes of that is signed by nobody.
var ErrDelta = errors.New("bundle is a delta")

// fetchTime bounds one fetch, whatever a registry does.
const fetchTime = 2 * time.Minute

// Options say what a [Fetcher] brings, and from where.
type Options struct {
	// Name is that of the bundle in the configuration: floors are kept by it.
	Name string
	// Ref is registry/repository, with a tag or a digest.
	Ref string
	// Dir is the directory of this bundle alone.
	Dir string
	// Policy is the bootstrap policy.
	Policy *Policy
	// Limits bound the bundle; what is zero has the default.
	Limits archive.Limits
	// Floors refuse a revision that is lower than one that was active. Raising them is for who
	// activates. Nil remembers none.
	Floors *fresh.Floors
	// Minimum is the lowest revision, empty for any.
	Minimum string
	// Log is told of each fetch; nil of none.
	Log *slog.Logger
	// Now is the time that a bundle expires by; nil is time.Now.
	Now func() time.Time
}

// Result is the bundle that serves after a fetch.
type Result struct {
	// Changed reports that it is another one than before.
	Changed bool
	// Digest is that of the manifest, which is what was signed.
	Digest string
	// Revision and Expires are what the bundle says of itself.
	Revision string
	Expires  time.Time
}

// Fetcher brings one bundle from a registry into a directory. It is safe for concurrent
// use: one fetch comes after the other.
type Fetcher struct {
	options   Options
	reference oci.Reference
	store     store

	fetching sync.Mutex // held over the network
	keeping  sync.Mutex // held over the disk

	mu   sync.Mutex // held over neither: probes wait for it
	last Result     // that was fetched or restored; its digest is not fetched again
	kept string     // the digest that a restart finds

	serving offer
}

// NewFetcher checks the options. It asks nobody, and reads no file.
func NewFetcher(o Options) (*Fetcher, error) {
	reference, err := oci.Parse(o.Ref)
	switch {
	case err != nil:
		return nil, fmt.Errorf("bundle %q: %w", o.Name, err)
	case o.Policy == nil:
		return nil, fmt.Errorf("bundle %q: got no bundle trust, want one: nothing else says which bundle is right", o.Name)
	case o.Dir == "":
		return nil, fmt.Errorf("bundle %q: got no directory, want one", o.Name)
	}
	if o.Floors == nil {
		if o.Floors, err = fresh.Open(""); err != nil {
			return nil, err
		}
	}
	if o.Limits.Compressed == 0 {
		o.Limits.Compressed = archive.Defaults().Compressed
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Fetcher{options: o, reference: reference, store: store{o.Dir}, serving: offer{changed: make(chan struct{})}}, nil
}

// Next gives the bundle that was fetched or restored last, and its digest: see bundle.Feed.
// It is what was verified, and no file.
func (f *Fetcher) Next(ctx context.Context, than string) (body []byte, tag string) {
	return f.serving.next(ctx, than)
}

// Fetch asks which digest the reference names. One that was fetched before ends there. Any
// other is admitted by the policy, read by that digest, checked, and is the one to activate: when it
// is active, [Fetcher.Keep] is told. An error leaves all as it is.
func (f *Fetcher) Fetch(ctx context.Context) (Result, error) {
	f.fetching.Lock()
	defer f.fetching.Unlock()
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	result, err := f.fetch(ctx)
	if err != nil {
		return Result{}, fmt.Errorf("bundle %q: %w", f.options.Name, err)
	}
	if result.Changed {
		f.options.Log.Info("bundle fetched", "bundle", f.options.Name, "ref", f.at(result.Digest), "revision", result.Revision)
	}
	return result, nil
}

func (f *Fetcher) fetch(ctx context.Context) (Result, error) {
	w := f.options.Policy.wiring
	digest, err := w.Registry().Resolve(ctx, w.Credentials, f.options.Ref)
	if err != nil {
		return Result{}, err
	}
	if last := f.latest(); digest == last.Digest {
		last.Changed = false
		return last, nil
	}
	at := f.at(digest)
	evidence, err := f.options.Policy.Admit(ctx, at)
	if err != nil {
		return Result{}, err
	}
	pulled, err := artifact.Pull(ctx, w.Registry(), w.Credentials, at, f.options.Limits.Compressed)
	if err != nil {
		return Result{}, err
	}
	result, err := f.read(digest, pulled.Bundle)
	if err != nil {
		return Result{}, err
	}
	if err := f.save(kept{pulled.Bundle, pulled.Manifest, evidence}, result); err != nil {
		return Result{}, fmt.Errorf("keep %s: %w", at, err)
	}
	result.Changed = true
	return result, nil
}

// save has a bundle be the one that was fetched last, on the disk and here.
func (f *Fetcher) save(k kept, result Result) error {
	f.keeping.Lock()
	defer f.keeping.Unlock()
	if err := f.store.save(k); err != nil {
		return err
	}
	f.mu.Lock()
	f.last = result
	f.mu.Unlock()
	f.serving.set(k.bundle, result.Digest)
	return nil
}

func (f *Fetcher) at(digest string) string {
	return f.reference.Registry + "/" + f.reference.Repository + "@" + digest
}

// read reads a bundle whose digest is the right one, and refuses what may not be active.
func (f *Fetcher) read(digest string, content []byte) (Result, error) {
	read, err := archive.Read(content, f.options.Limits)
	if err != nil {
		return Result{}, err
	}
	out := Result{Digest: digest, Revision: read.Manifest.Revision, Expires: read.About.Expires}
	if read.Delta {
		return out, fmt.Errorf("%w: want a whole bundle: what a delta makes of another one is signed by nobody", ErrDelta)
	}
	if err := read.About.As(f.options.Name); err != nil {
		return out, err
	}
	if err := fresh.Expired(out.Expires, f.options.Now()); err != nil {
		return out, err
	}
	return out, f.options.Floors.Check(f.options.Name, out.Revision, f.options.Minimum, "")
}

// latest is the bundle that was fetched or restored last.
func (f *Fetcher) latest() Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// Keep says that the bundle of that digest is active: it is what a restart finds. What was
// fetched since is not, and told again it does what it could not do before. It waits for the
// disk, and for no registry.
func (f *Fetcher) Keep(digest string) error {
	if !f.keeps(digest) {
		return nil
	}
	f.keeping.Lock()
	defer f.keeping.Unlock()
	if !f.keeps(digest) { // another was fetched meanwhile
		return nil
	}
	if err := f.store.keep(); err != nil {
		return fmt.Errorf("bundle %q: keep: %w", f.options.Name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = digest
	return nil
}

// keeps says whether keeping a digest would change anything.
func (f *Fetcher) keeps(digest string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return digest == f.last.Digest && digest != f.kept
}

// Restore verifies the bundle that was active last, without asking anybody, and has it be
// the one that was fetched last. Where that one may not be active any more, it is the one that
// was fetched after it: a process may have died between what makes the one so and what keeps
// the other. An error that is fs.ErrNotExist says that none was kept.
func (f *Fetcher) Restore(ctx context.Context) (Result, error) {
	f.fetching.Lock()
	defer f.fetching.Unlock()
	f.keeping.Lock()
	defer f.keeping.Unlock()
	var errs []error
	for _, link := range []string{current, loading} {
		result, body, err := f.restore(ctx, link)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.mu.Lock()
		if f.last = result; link == current {
			f.kept = result.Digest
		}
		f.mu.Unlock()
		f.serving.set(body, result.Digest)
		return result, nil
	}
	if errors.Is(errs[0], fs.ErrNotExist) {
		errs = errs[1:]
	}
	return Result{}, fmt.Errorf("bundle %q: restore: %w", f.options.Name, errors.Join(errs...))
}

func (f *Fetcher) restore(ctx context.Context, link string) (out Result, body []byte, err error) {
	k, err := f.store.load(link, f.options.Limits.Compressed)
	if err != nil {
		return out, nil, err
	}
	digest := k.digest()
	if want := f.reference.Digest; want != "" && digest != want {
		return out, nil, fmt.Errorf("%w: %s: got digest %s, want %s", ErrEvidence, manifestFile, digest, want)
	}
	if err := artifact.Check(digest, k.manifest, k.bundle); err != nil {
		return out, nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if err := f.options.Policy.Again(ctx, k.evidence, f.at(digest)); err != nil {
		return out, nil, err
	}
	out, err = f.read(digest, k.bundle)
	out.Changed = true
	return out, k.bundle, err
}

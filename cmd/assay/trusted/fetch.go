package trusted

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
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

	mu   sync.Mutex
	last Result // that was fetched or restored; its digest is not fetched again
	kept Result // that was active last
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
	// OPA takes the first segment of a file:// URL for a host.
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("bundle %q: %w", o.Name, err)
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
	return &Fetcher{options: o, reference: reference, store: store{o.Dir}}, nil
}

// File is where the bundle is that was fetched or restored last, from the root of the file
// system. It stays the same.
func (f *Fetcher) File() string { return f.store.file() }

// Fetch asks which digest the reference names. One that was fetched before ends there. Any
// other is admitted by the policy, read by that digest, checked, and is the one to activate: what
// becomes of that, [Fetcher.Keep] or [Fetcher.Undo] is told. An error leaves all as it is.
func (f *Fetcher) Fetch(ctx context.Context) (Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
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
	if digest == f.last.Digest {
		unchanged := f.last
		unchanged.Changed = false
		return unchanged, nil
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
	if err := f.store.save(kept{pulled.Bundle, pulled.Manifest, evidence}); err != nil {
		return Result{}, fmt.Errorf("keep %s: %w", at, err)
	}
	result.Changed, f.last = true, result
	return result, nil
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
	if !out.Expires.IsZero() {
		if err := fresh.Expired(out.Expires.Format(time.RFC3339), f.options.Now()); err != nil {
			return out, err
		}
	}
	return out, f.options.Floors.Check(f.options.Name, out.Revision, f.options.Minimum)
}

// fetched is the digest of the bundle that was fetched last.
func (f *Fetcher) fetched() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last.Digest
}

// Keep says that the bundle which was fetched last is active: it is what a restart finds.
func (f *Fetcher) Keep() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.store.keep(); err != nil {
		return fmt.Errorf("bundle %q: keep: %w", f.options.Name, err)
	}
	f.kept = f.last
	return nil
}

// Undo says that it was refused: the one that was active before it is in its place again, and
// the next fetch tries once more.
func (f *Fetcher) Undo() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = f.kept
	if err := f.store.undo(); err != nil {
		return fmt.Errorf("bundle %q: undo: %w", f.options.Name, err)
	}
	return nil
}

// Restore verifies the bundle that was active last, without asking anybody, and has it be
// the one that was fetched last. An error that is fs.ErrNotExist says that none was kept. With
// any there is no [Fetcher.File].
func (f *Fetcher) Restore(ctx context.Context) (Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	result, err := f.restore(ctx)
	if err == nil {
		err = f.store.undo() // what a process that died was about to activate
	}
	if err != nil {
		return Result{}, fmt.Errorf("bundle %q: restore: %w", f.options.Name, errors.Join(err, f.store.none()))
	}
	f.last, f.kept = result, result
	return result, nil
}

func (f *Fetcher) restore(ctx context.Context) (out Result, err error) {
	k, err := f.store.load(current, f.options.Limits.Compressed)
	if err != nil {
		return out, err
	}
	digest := k.digest()
	if want := f.reference.Digest; want != "" && digest != want {
		return out, fmt.Errorf("%w: %s: got digest %s, want %s", ErrEvidence, manifestFile, digest, want)
	}
	if err := artifact.Check(digest, k.manifest, k.bundle); err != nil {
		return out, fmt.Errorf("%w: %w", ErrEvidence, err)
	}
	if err := f.options.Policy.Again(ctx, k.evidence, f.at(digest)); err != nil {
		return out, err
	}
	out, err = f.read(digest, k.bundle)
	out.Changed = true
	return out, err
}

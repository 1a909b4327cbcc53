package bundle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/bundle/archive"
	"github.com/assay-dev/assay/rego/bundle/configured"
	"github.com/assay-dev/assay/rego/bundle/local"
)

// OPA saves a bundle after it is active, and goes on where that fails. Whoever remembers that it
// was active, a floor of revisions, would then refuse what a restart finds: the one before. So
// what was fetched is saved where OPA saves it before anybody remembers it: [Content.Keep].

// came is a bundle as it came, until it is saved.
type came struct {
	body []byte
	tag  string
}

// persisted are the bundles that OPA persists, by name, with the URL that each is asked for at.
func (h *sourcesHook) persisted(sources []configured.Source, feeds map[string]Feed, services map[string]configured.Service) (map[string]string, error) {
	out, directories := map[string]string{}, map[string]string{}
	if err := h.bounds.apart.Check(sources); err != nil {
		return nil, err
	}
	for _, of := range sources {
		if _, fed := feeds[of.Name]; of.Persisted == "" || fed && !of.Discovery {
			continue
		}
		if directories[of.Name] = of.Persisted; !filepath.IsLocal(of.Persisted) {
			return nil, fmt.Errorf("%s: got persist, want a name that a directory may have", of.Place())
		}
		if of.Discovery {
			continue // which nobody else remembers before OPA saves it
		}
		at, err := h.bounds.askedAt(of, services)
		if err != nil {
			return nil, err
		}
		out[of.Name] = at
	}
	if len(directories) == 0 {
		return out, nil
	}
	if h.persist != nil {
		if err := h.persist(); err != nil {
			return nil, err
		}
	}
	h.bounds.look(directories)
	return out, nil
}

// askedAt is the URL at which OPA asks for a source that nobody feeds.
func (b *bounds) askedAt(of configured.Source, services map[string]configured.Service) (string, error) {
	base, resource := services[of.Service].URL, of.Resource
	path, by, err := b.carried(of)
	if err != nil {
		return "", err
	}
	if by != nil {
		base, resource = "http://"+feedHost, path
	}
	at, err := url.Parse(strings.TrimRight(base, "/") + "/" + strings.Trim(resource, "/"))
	if err != nil {
		return "", fmt.Errorf("%s: %w", of.Place(), err)
	}
	return at.String(), nil
}

// note keeps a bundle that came, where OPA persists it.
func (b *bounds) note(at string, body []byte, tag string, delta bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, of := range b.persists() {
		if of != at {
			continue
		}
		b.fetched[name] = true
		delete(b.came, name)
		if !delta { // OPA does not persist those
			b.came[name] = came{body, tag}
		}
	}
}

// restored says whether a bundle is from the disk: nothing came of it since the start.
func (b *bounds) restored(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.persists()[name] != "" && !b.fetched[name]
}

// keeps saves what came of a bundle, if OPA is to persist it.
func (b *bounds) keeps(name, tag string) error {
	b.mu.Lock()
	of, ok := b.came[name]
	b.mu.Unlock()
	if !ok || of.tag != tag {
		return nil
	}
	if err := save(filepath.Join(b.directory, "bundles", name), of.body); err != nil {
		return fmt.Errorf("bundle %s is not kept: %w", name, err)
	}
	b.let(name)
	return nil
}

// save puts a file in the place of the one that OPA loads. When it returns, the disk has it.
func save(directory string, body []byte) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	out, err := os.CreateTemp(directory, ".bundle.tar.gz.*.tmp") // as OPA calls them
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(out.Name()) }() // gone where it was renamed
	_, err = out.Write(body)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(out.Name(), filepath.Join(directory, "bundle.tar.gz")); err != nil {
		return err
	}
	in, err := os.Open(directory)
	if err != nil {
		return err
	}
	return errors.Join(in.Sync(), in.Close())
}

// keeping lets whoever serves have bundles kept that are not as they were.
func (m *Manager) keeping(ctx context.Context, next Content) (func(), error) {
	before := m.gate.bundles()
	next.keep = func(name string) error {
		for _, of := range next.Bundles {
			if of.Name == name && before[name] != of.identity() {
				return m.bounds.keeps(name, of.Tag)
			}
		}
		return nil
	}
	for i, of := range next.Bundles {
		next.Bundles[i].Restored = m.bounds.restored(of.Name)
	}
	publish, err := m.options.Prepare(ctx, next)
	if err != nil {
		return nil, err
	}
	return func() {
		for _, of := range next.Bundles {
			if before[of.Name] != of.identity() {
				m.bounds.let(of.Name)
			}
		}
		publish()
	}, nil
}

// let lets go of what came: OPA has it, and saves it.
func (b *bounds) let(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.came, name)
}

// Keep has what was fetched of a bundle be what a restart finds, if OPA is to persist it: to be
// called when nothing refuses it any more, and before anybody remembers it.
func (c Content) Keep(name string) error {
	if c.keep == nil {
		return nil
	}
	return c.keep(name)
}

// identity tells a bundle from the one before it.
func (b Bundle) identity() string { return fmt.Sprintf("%q %q %q", b.Revision, b.Tag, b.Sum) }

// look looks at what OPA would load from the disk, before it does, and puts aside what it may not:
// OPA reads it without a bound.
func (b *bounds) look(directories map[string]string) {
	var causes []string
	for _, name := range slices.Sorted(maps.Keys(directories)) {
		if b.looked[name] { // from then on it is what was saved
			continue
		}
		b.looked[name] = true
		at := local.File{Path: filepath.Join(b.directory, "bundles", directories[name], "bundle.tar.gz"), Limits: b.limits}
		show := func(body []byte) error {
			_, err := archive.Read(body, b.limits)
			return err
		}
		if name == configured.DiscoveryName { // which OPA evaluates
			show = b.discovered
		}
		if err := at.Kept(show); err != nil {
			causes = append(causes, fmt.Sprintf("bundle %s: what was kept is not used: %v", name, err))
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unused = append(b.unused, causes...)
}

// loaded is to be called once OPA loaded what was kept.
func (b *bounds) loaded(refused error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if refused != nil {
		b.unused = append(b.unused, "what was kept is not used: "+refused.Error())
	}
}

// Kept says why what was kept of bundles is not used, "" where it is: what OPA notes of that is
// gone with the first poll.
func (m *Manager) Kept() string {
	m.bounds.mu.Lock()
	defer m.bounds.mu.Unlock()
	return strings.Join(m.bounds.unused, "; ")
}

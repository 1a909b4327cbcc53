package stores

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/assay-dev/assay/builtins/oci/tagged"
)

// registry is a repository of an OCI registry, with a tag for each object.
type registry struct{ tags *tagged.Repository }

func openRegistry(u *url.URL, opts Options) (Store, error) {
	values, err := knows(u, "insecure")
	if err != nil {
		return nil, err
	}
	insecure, err := truth(values, "insecure")
	if err != nil {
		return nil, err
	}
	tags, err := tagged.Open(u.Host+u.Path, tagged.Options{Insecure: insecure, Transport: transport(opts), Keychain: opts.Keychain})
	if err != nil {
		return nil, err
	}
	return registry{tags}, nil
}

// Put implements [Store].
func (r registry) Put(ctx context.Context, name string, data []byte) error {
	tag, err := tagOf(name)
	if err != nil {
		return err
	}
	return ofRegistry(r.tags.Put(ctx, tag, data))
}

// Get implements [Store].
func (r registry) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	tag, err := tagOf(name)
	if err != nil {
		return nil, err
	}
	data, err := r.tags.Get(ctx, tag, most)
	return data, ofRegistry(err)
}

// List reads all tags: registries know no prefix, and order tags as they please.
func (r registry) List(ctx context.Context, prefix, after string, most int) ([]Entry, error) {
	var found []Entry
	err := r.tags.List(ctx, maxListed, func(tag string) {
		if name, ok := nameOf(tag); ok && asked(name, prefix, after) {
			found = append(found, Entry{Name: name, Size: -1})
		}
	})
	return page(found, most), ofRegistry(err)
}

// maxTag is what the OCI distribution specification gives a tag.
const maxTag = 128

// tagOf writes a name as a tag: a slash is an underscore, and an underscore one before a dot. No segment begins with a
// dot, so that both are read back as what they were.
func tagOf(name string) (string, error) {
	tag := strings.NewReplacer("_", "_.", "/", "_").Replace(name)
	if len(tag) > maxTag {
		return "", fmt.Errorf("name: got %d bytes as a tag, want at most %d: name clusters and replicas more briefly", len(tag), maxTag)
	}
	return tag, nil
}

func (registry) holds(name string) error {
	_, err := tagOf(name)
	return err
}

// nameOf reads a tag back; ok is false where no name is written so.
func nameOf(tag string) (name string, ok bool) {
	name = strings.NewReplacer("_.", "_", "_", "/").Replace(tag)
	back, err := tagOf(name)
	return name, err == nil && back == tag && CheckName(name) == nil
}

// ofRegistry makes the store's errors of those of registries.
func ofRegistry(err error) error {
	for kind, ours := range map[error]error{
		tagged.ErrNotFound: ErrNotFound, tagged.ErrTooLarge: ErrTooLarge, tagged.ErrUnauthorized: ErrUnauthorized,
	} {
		if errors.Is(err, kind) && !errors.Is(err, ours) {
			return fmt.Errorf("%w: %w", ours, err)
		}
	}
	return err
}

package bundle

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/storage"

	"github.com/assay-dev/assay/rego/bundle/archive"
)

// Content is what the active bundles hold together.
type Content struct {
	// Bundles are in the order of their names.
	Bundles []Bundle
	// Modules are the Rego files by path, which begins with the name of the bundle.
	Modules map[string]string
	// V0 says that one of them is Rego v0.
	V0 bool
	// Resources are the Kubernetes objects, in the order of their paths.
	Resources []Resource
	// Data are the documents below data, but for resources.
	Data map[string]any

	keep func(name string) error // see [Content.Keep]
	sum  [sha256.Size]byte       // of all of it, and of what OPA notes beside it
}

// Bundle is what the manifest of one says.
type Bundle struct {
	Name, Revision string
	Roots          []string
	// About is what assay build says of it.
	About archive.About
	// Tag is the ETag that it came with, and Sum names what it holds.
	Tag, Sum string
	// Restored says that it is from the disk, where OPA persists it: it was active before.
	Restored bool
}

// Resource is a Kubernetes object of a bundle.
type Resource struct {
	// Bundle has it, and Path is its place below data.
	Bundle, Path string
	// Document is the object in JSON.
	Document []byte
}

// resources is where the objects of bundles stand below data.
const resources = "resources"

func (c Content) names() (out []string) {
	for _, b := range c.Bundles {
		out = append(out, b.Name)
	}
	return out
}

// noted is what OPA notes in a store beside the data.
type noted struct {
	System struct {
		Bundles map[string]struct {
			ETag     string `json:"etag"`
			Manifest struct {
				Revision string         `json:"revision"`
				Roots    []string       `json:"roots"`
				Metadata map[string]any `json:"metadata"`
			} `json:"manifest"`
		} `json:"bundles"`
		Modules map[string]struct {
			RegoVersion *int `json:"rego_version"`
		} `json:"modules"`
	} `json:"system"`
}

// contentOf reads what a store holds. With an error it still has the bundles, if they can be read.
func contentOf(ctx context.Context, store storage.Store, txn storage.Transaction) (Content, error) {
	root, err := store.Read(ctx, txn, storage.Path{})
	if err != nil {
		return Content{}, err
	}
	// The tree is the store's own, which later transactions write to.
	copied, err := json.Marshal(root)
	if err != nil {
		return Content{}, err
	}
	var tree noted
	if err := json.Unmarshal(copied, &tree); err != nil {
		return Content{}, fmt.Errorf("bundles: %w", err)
	}
	hash := sha256.New()
	hash.Write(copied) // in the order of the names
	out := Content{Modules: map[string]string{}}
	if err := decoded(copied, &out.Data); err != nil {
		return Content{}, err
	}
	delete(out.Data, "system")
	if err := out.takeModules(ctx, store, txn, tree, hash); err != nil {
		return Content{}, err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(tree.System.Bundles)) {
		of := tree.System.Bundles[name]
		about, err := archive.AboutOf(of.Manifest.Metadata)
		if err != nil {
			errs = append(errs, fmt.Errorf("bundle %s: %w", name, err))
		}
		out.Bundles = append(out.Bundles, Bundle{
			Name: name, Revision: of.Manifest.Revision, Roots: of.Manifest.Roots, About: about, Tag: of.ETag,
			Sum: out.sumOf(name, of.Manifest.Roots),
		})
	}
	out.sum = [sha256.Size]byte(hash.Sum(nil))
	return out, errors.Join(append(errs, out.takeResources())...)
}

// takeModules reads the Rego of a store.
func (c *Content) takeModules(ctx context.Context, store storage.Store, txn storage.Transaction, tree noted, hash io.Writer) error {
	ids, err := store.ListPolicies(ctx, txn)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	for _, id := range ids {
		text, err := store.GetPolicy(ctx, txn, id)
		if err != nil {
			return err
		}
		fmt.Fprintf(hash, "%q %q\n", id, text)
		c.Modules[strings.TrimPrefix(id, "/")] = string(text)
		if version := tree.System.Modules[strings.Trim(id, "/")].RegoVersion; version != nil && *version == 0 {
			c.V0 = true
		}
	}
	return nil
}

// sumOf names what one bundle holds: its Rego, and the data below its roots.
func (c *Content) sumOf(name string, roots []string) string {
	hash := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(c.Modules)) {
		if strings.HasPrefix(path, name+"/") {
			fmt.Fprintf(hash, "%q %q\n", path, c.Modules[path])
		}
	}
	for _, root := range slices.Sorted(slices.Values(roots)) {
		var at any = c.Data
		for _, part := range strings.Split(strings.Trim(root, "/"), "/") {
			object, _ := at.(map[string]any)
			at = object[part]
		}
		text, err := json.Marshal(at)
		fmt.Fprintf(hash, "%q %s %v\n", root, text, err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// decoded keeps numbers as they are written.
func decoded(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// takeResources takes the objects out of the data. Each stands at KIND/NAME, or
// KIND/NAMESPACE/NAME, and is one when it says its kind.
func (c *Content) takeResources() error {
	kinds, has := c.Data[resources]
	if !has {
		return nil
	}
	delete(c.Data, resources)
	return c.take(kinds, []string{resources})
}

func (c *Content) take(at any, path []string) error {
	where := strings.Join(path, "/")
	object, ok := at.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: got %T, want an object", where, at)
	}
	if _, is := object["kind"].(string); is && len(path) > 2 {
		document, err := json.Marshal(object)
		if err != nil {
			return err
		}
		c.Resources = append(c.Resources, Resource{Bundle: c.owns(where), Path: where, Document: document})
		return nil
	}
	if len(object) == 0 && len(path) > 2 {
		if c.owns(where) == "" { // OPA erases what is at a root, and leaves what is above it
			return nil
		}
		return fmt.Errorf("%s: got nothing, want a Kubernetes object", where)
	}
	const deepest = 4 // resources/KIND/NAMESPACE/NAME
	if len(path) == deepest {
		return fmt.Errorf("%s: got no kind, want a Kubernetes object", where)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := c.take(object[name], append(slices.Clone(path), name)); err != nil {
			return err
		}
	}
	return nil
}

// owns is the bundle among whose roots a path is.
func (c *Content) owns(path string) string {
	for _, b := range c.Bundles {
		for _, root := range b.Roots {
			if path == root || strings.HasPrefix(path, root+"/") {
				return b.Name
			}
		}
	}
	return ""
}

// claimed refuses what bundles have where the program has its own: OPA compares data with
// roots, and so do we, who decide by it.
func (c Content) claimed() error {
	for name := range c.Data {
		if err := archive.Reserved([]string{name}); err != nil {
			return fmt.Errorf("data of the bundles: %w", err)
		}
	}
	return nil
}

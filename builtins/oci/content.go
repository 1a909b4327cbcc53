package oci

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/assay-dev/assay/builtins/oci/edge"
	"github.com/assay-dev/assay/builtins/oci/manifest"
	"github.com/assay-dev/assay/builtins/oci/memo"
)

const (
	// maxImages bounds the manifests below one index, those of nested ones and of attestations included. The largest
	// official images have about 30.
	maxImages = 128
	// maxDepth bounds how deep indexes lie in each other. Nothing that runs images looks deeper than one.
	maxDepth = 3
	// maxConfigs bounds the bytes of all config files of one reference: they become values of a policy's language, which
	// take ten times as much. One takes 5 to 20 KB.
	maxConfigs = 2 << 20
	// maxValue bounds a manifest that is read to be looked at, for the same reason. One of 127 layers takes 32 KB.
	maxValue = 256 << 10
)

// Manifest reads the image manifest or index that the digest reference ref names. Its hash was checked, and it is a
// JSON object of schema version 2; nothing else of it is vouched for. It must not be written to.
func (c *Client) Manifest(ctx context.Context, cred Credentials, ref string) ([]byte, error) {
	r, err := pinned(cred, ref, "manifest")
	if err != nil {
		return nil, err
	}
	body, err := c.manifest(ctx, cred, r)
	if err == nil && len(body) > maxValue {
		return nil, edge.Refuse(TooLarge, "manifest %s: got %d bytes, want at most %d", r.Name, len(body), maxValue)
	}
	return body, err
}

// Index is Manifest for an index, and refuses everything else.
func (c *Client) Index(ctx context.Context, cred Credentials, ref string) ([]byte, error) {
	body, err := c.Manifest(ctx, cred, ref)
	if err != nil {
		return nil, err
	}
	switch d, err := manifest.ParseDocument("manifest "+ref, body); {
	case err != nil:
		return nil, err
	case d.Kind() != manifest.AnIndex:
		return nil, edge.Refuse(Malformed, "manifest %s: got media type %.100q, want an index", ref, d.MediaType)
	}
	return body, nil
}

// manifest reads the manifest of a digest whose size nobody said. Resolve may have read it just before.
func (c *Client) manifest(ctx context.Context, cred Credentials, r Reference) ([]byte, error) {
	if body, ok := c.kept(cred, r.Digest); ok {
		// A blob of that digest may have been read as well.
		_, err := manifest.Parse("manifest "+r.Name, body)
		return body, err
	}
	k := memo.Key{Tenant: cred.ID, Call: "manifest", About: r.Name}
	return memo.Shared[[]byte](ctx, &c.flights, c.content, k, func(ctx context.Context) (memo.Answer, error) {
		what := "manifest " + r.Name
		body, err := c.getDigest(ctx, cred, r, r.Digest, request{path: "manifests/" + r.Digest, accept: manifest.AcceptAny, most: c.maxManifest, what: what})
		if err != nil {
			return memo.Answer{}, err
		}
		if _, err := manifest.Parse(what, body); err != nil {
			return memo.Answer{}, err
		}
		return memo.Answer{Value: c.keep(cred, r.Digest, body)}, nil
	})
}

// Config reads the config file of the image that the digest reference ref names, with the fields that [Client.Configs]
// gives of each. An index is refused: it has several.
func (c *Client) Config(ctx context.Context, cred Credentials, ref string) (json.RawMessage, error) {
	r, _, content, err := c.single(ctx, cred, ref, "config file")
	if err != nil {
		return nil, err
	}
	_, config, err := parseConfig(content)
	if err != nil {
		return nil, wrapped("config file of "+r.Name, err)
	}
	return config, nil
}

// single reads the manifest of one image, and its config file.
func (c *Client) single(ctx context.Context, cred Credentials, ref, asked string) (r Reference, d manifest.Document, config []byte, err error) {
	if r, err = pinned(cred, ref, asked); err != nil {
		return r, d, nil, err
	}
	body, err := c.manifest(ctx, cred, r)
	if err != nil {
		return r, d, nil, err
	}
	if d, err = manifest.ParseDocument("manifest "+r.Name, body); err != nil {
		return r, d, nil, err
	}
	switch d.Kind() {
	case manifest.AnImage:
	case manifest.AnIndex:
		return r, d, nil, edge.Refuse(Malformed, "%s of %s: got an index of %d manifests, want one image", asked, r.Name, len(d.Manifests))
	default:
		return r, d, nil, edge.Refuse(Malformed, "%s of %s: got media type %.100q, want an image", asked, r.Name, d.MediaType)
	}
	read := c.fetch(ctx, cred, r, "config file of "+r.Name, "blobs", maxConfigs, []manifest.Descriptor{*d.Config})[0]
	if read.err != nil {
		return r, d, nil, read.err
	}
	return r, d, read.content, nil
}

// maxBlobValue bounds a blob that is read to be looked at: it becomes a value of a policy's language.
const maxBlobValue = 4 << 20

// Blob reads a blob of a repository, which the digest reference ref names. Its hash was checked. It must not be written
// to.
func (c *Client) Blob(ctx context.Context, cred Credentials, ref string) ([]byte, error) {
	r, err := pinned(cred, ref, "blob")
	if err != nil {
		return nil, err
	}
	what := "blob " + r.Name
	body, ok := c.kept(cred, r.Digest)
	if !ok {
		k := memo.Key{Tenant: cred.ID, Call: "blob", About: r.Name}
		body, err = memo.Shared[[]byte](ctx, &c.flights, c.content, k, func(ctx context.Context) (memo.Answer, error) {
			body, err := c.getDigest(ctx, cred, r, r.Digest, request{path: "blobs/" + r.Digest, most: maxBlobValue, what: what})
			if err != nil {
				return memo.Answer{}, err
			}
			return memo.Answer{Value: c.keep(cred, r.Digest, body)}, nil
		})
	}
	if err == nil && len(body) > maxBlobValue {
		return nil, edge.Refuse(TooLarge, "%s: got %d bytes, want at most %d", what, len(body), maxBlobValue)
	}
	return body, err
}

// Layer reads the layer that d describes, up to the bound, from the repository of the digest reference ref. It is read
// for its caller alone, and kept for nobody.
func (c *Client) Layer(ctx context.Context, cred Credentials, ref string, d manifest.Descriptor, most int64) ([]byte, error) {
	r, err := pinned(cred, ref, "layer")
	if err != nil {
		return nil, err
	}
	what := "layer of " + r.Name
	if refused := d.Check(what, min(most, c.maxInFlight)); refused != nil {
		return nil, refused
	}
	return c.getDigest(ctx, cred, r, d.Digest, request{path: "blobs/" + d.Digest, most: d.Size, exact: true, what: what})
}

// Configs reads the config files of all images that the digest reference ref leads to: its own, or those of all
// manifests below an index. They come by platform, as v1.Platform writes it (linux/arm/v7), and in the form that
// policy-controller shows them to its policies: the fields of v1.ConfigFile and no others. One that cannot be had is
// an error of the whole, with policy-controller's texts.
func (c *Client) Configs(ctx context.Context, cred Credentials, ref string) (map[string]json.RawMessage, error) {
	r, err := pinned(cred, ref, "config files")
	if err != nil {
		return nil, err
	}
	body, err := c.manifest(ctx, cred, r)
	if err != nil {
		return nil, wrapped("failed to get ref "+r.Name+" ", err)
	}
	images, err := c.images(ctx, cred, r, body)
	if err != nil {
		return nil, err
	}
	return c.configs(ctx, cred, r, images)
}

// anImage is an image that an index, or the reference itself, leads to.
type anImage struct {
	name   string
	config manifest.Descriptor
	// aside is an attestation of BuildKit: they lie among the images, under a platform that none has, and nothing
	// runs them.
	aside bool
	child bool // of an index
}

// images walks down from a manifest, all of one depth at a time. What is listed twice is read once, so that indexes
// cannot lead round in circles or multiply.
func (c *Client) images(ctx context.Context, cred Credentials, r Reference, root []byte) ([]anImage, error) {
	var images []anImage
	seen := map[string]bool{r.Digest: true}
	level, bodies := []manifest.Child{{Descriptor: manifest.Descriptor{Digest: r.Digest}}}, []piece{{content: root}}
	for depth := 0; len(level) > 0; depth++ {
		if depth > maxDepth {
			return nil, edge.Refuse(TooLarge, "index %s: got indexes in each other, more than %d deep", r.Name, maxDepth)
		}
		var next []manifest.Child
		var failed failures
		for i, at := range level {
			name := r.at(fmt.Sprintf("%.80s", at.Digest))
			if err := bodies[i].err; err != nil {
				failed = append(failed, wrapped("failed to get ref "+name+" ", err))
				continue
			}
			d, err := manifest.ParseDocument("manifest "+name, bodies[i].content)
			switch {
			case err != nil:
				failed = append(failed, wrapped("failed to get ref "+name+" ", err))
			case d.Kind() == manifest.AnIndex:
				for _, m := range d.Manifests {
					if !seen[m.Digest] {
						seen[m.Digest] = true
						next = append(next, m)
					}
				}
			case d.Kind() == manifest.AnImage:
				images = append(images, anImage{name: name, config: *d.Config, aside: at.Aside(), child: depth > 0})
			default:
				failed = append(failed, edge.Refuse(Malformed, "unknown mime type for %s: %.100s", name, d.MediaType))
			}
		}
		if err := failed.err(depth > 0); err != nil {
			return nil, err
		}
		if len(seen) > maxImages+1 {
			return nil, edge.Refuse(TooLarge, "index %s: got more than %d manifests", r.Name, maxImages)
		}
		level, bodies = next, c.fetch(ctx, cred, r, "index "+r.Name, "manifests", c.maxManifest, manifest.Descriptors(next))
	}
	return images, nil
}

// configs reads the config files of images, all at once.
func (c *Client) configs(ctx context.Context, cred Credentials, r Reference, images []anImage) (map[string]json.RawMessage, error) {
	described, total := make([]manifest.Descriptor, len(images)), int64(0)
	for i, image := range images {
		described[i] = image.config
		if total += max(image.config.Size, 0); total > maxConfigs || image.config.Size > maxConfigs {
			return nil, edge.Refuse(TooLarge, "config files of %s: got more than %d bytes in all", r.Name, maxConfigs)
		}
	}
	type found struct {
		image anImage
		text  string
	}
	out, byPlatform := map[string]json.RawMessage{}, map[string]found{}
	var failed failures
	children := false
	for i, p := range c.fetch(ctx, cred, r, "config files of "+r.Name, "blobs", c.maxManifest, described) {
		image := images[i]
		children = children || image.child
		if p.err != nil {
			failed = append(failed, wrapped("getting ConfigFile for "+image.name, p.err))
			continue
		}
		platform, config, err := parseConfig(p.content)
		if err != nil {
			failed = append(failed, wrapped("getting ConfigFile for "+image.name, err))
			continue
		}
		other, twice := byPlatform[platform]
		switch {
		case twice && image.aside:
			continue
		case twice && !other.image.aside && other.text != string(config):
			// Which one would run, and which one a policy looked at, would be anybody's guess.
			failed = append(failed, edge.Refuse(Malformed, "getting ConfigFile for %s: got two images of platform %.100q, the other is %s",
				image.name, platform, other.image.name))
			continue
		}
		out[platform], byPlatform[platform] = config, found{image, string(config)}
	}
	if err := failed.err(children); err != nil {
		return nil, err
	}
	return out, nil
}

// parseConfig reads a config file as ggcr does, and writes what it read.
func parseConfig(content []byte) (platform string, config json.RawMessage, err error) {
	var file v1.ConfigFile
	if err := json.Unmarshal(content, &file); err != nil {
		return "", nil, edge.Refuse(Malformed, "got an answer that is not a config file")
	}
	if config, err = json.Marshal(file); err != nil { // a time after the year 9999
		return "", nil, edge.Refuse(Malformed, "got a config file that has no JSON form")
	}
	return v1.Platform{
		Architecture: file.Architecture, OS: file.OS, OSVersion: file.OSVersion, Variant: file.Variant,
	}.String(), config, nil
}

// failures are why some of several manifests or config files could not be had, in their order.
type failures []*Error

// err sums up failures with the code of the first. Those of children have policy-controller's wrapping.
func (f failures) err(children bool) error {
	if len(f) == 0 {
		return nil
	}
	const most = 5 // an index of a hundred bad manifests need not name all of them
	messages := make([]string, 0, most)
	for _, e := range f[:min(len(f), most)] {
		messages = append(messages, e.Message)
	}
	message := strings.Join(messages, " ")
	if children {
		message = "failed to get a ConfigFile: [" + message + "]"
	}
	return &Error{Code: f[0].Code, Message: message, Err: f[0].Err}
}

// wrapped puts what was attempted before the message of a refusal.
func wrapped(what string, err error) *Error {
	own := edge.AsError(what, err)
	return &Error{Code: own.Code, Message: what + ": " + own.Message, Err: own.Err}
}

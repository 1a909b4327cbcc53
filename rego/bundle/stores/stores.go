// Package stores puts small objects where a fleet can be looked at, and reads them back, without a service of ours:
// a directory, a bucket of any S3-compatible store, a repository of an OCI registry.
//
//	file:///var/lib/assay
//	s3://bucket/prefix?region=eu-west-1
//	s3://bucket/prefix?endpoint=https://minio.internal:9000
//	oci://registry.internal/assay/fleet
//
// What is read may have been written by anybody who may write there: every answer is bounded, every call has a
// deadline, and what the objects say is for the caller to judge. Endpoints are chosen by the operator, so that private
// addresses are reached; plain HTTP takes insecure=true, and no credentials follow a redirect to another host.
package stores

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/assay-dev/assay/builtins/oci/tagged"
)

const (
	// MaxObject bounds an object, written or read: hundreds of times what a chunk of decision logs has.
	MaxObject = 16 << 20
	// MaxName bounds a name; a registry's tag has fewer.
	MaxName = 512
	// maxListed bounds what one listing looks at to find what it answers with.
	maxListed = 1 << 20
	// defaultTimeout is how long one call may take.
	defaultTimeout = 30 * time.Second
)

var (
	// ErrNotFound is that the store has no such object, or that there is no such store.
	ErrNotFound = errors.New("not found")
	// ErrTooLarge is an object, or a listing, beyond its bound.
	ErrTooLarge = errors.New("too large")
	// ErrUnauthorized is that the store wants other credentials.
	ErrUnauthorized = errors.New("unauthorized")
)

// Entry is an object in a listing.
type Entry struct {
	Name string
	// Size is in bytes, -1 where the store does not say.
	Size int64
	// Modified is zero where the store does not say.
	Modified time.Time
}

// Store holds objects by name. Names are segments of letters, digits, '.', '_' and '-' that begin with a letter or
// a digit, joined by '/'. It is safe for concurrent use.
type Store interface {
	// Put writes an object whole: a reader sees the old one or the new one. The last of two writers wins.
	Put(ctx context.Context, name string, data []byte) error
	// Get reads an object of at most max bytes. [ErrNotFound] and [ErrTooLarge] are told apart.
	Get(ctx context.Context, name string, max int64) ([]byte, error)
	// List answers with the first objects, in the order of the bytes of their names, that begin with prefix and come
	// after the name given, at most so many. Where it answers with as many, there may be more. What else lies there
	// under names that are none is left out.
	List(ctx context.Context, prefix, after string, most int) ([]Entry, error)
}

// Options are how a store is reached. The zero value has the system's certificates and the usual credentials.
type Options struct {
	// Timeout bounds each call: 0 is 30 s.
	Timeout time.Duration
	// RootCAs are who may vouch for the store: nil for the system's.
	RootCAs *x509.CertPool
	// Keychain has the credentials of registries: nil for those of the Docker configuration.
	Keychain tagged.Keychain
}

// Open opens the store at a URL; file, s3 and oci are known. A directory has to exist, as a bucket does. Nothing is
// asked of the others yet.
func Open(_ context.Context, where string, opts Options) (Store, error) {
	u, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("store: got what is not a URL, want file:///dir, s3://bucket/prefix or oci://registry/repository")
	}
	if opts.Timeout == 0 {
		opts.Timeout = defaultTimeout
	}
	if u.User != nil {
		return nil, fmt.Errorf("store %s: got credentials in the URL, want them in the environment or a file", u.Redacted())
	}
	if u.Fragment != "" || u.Opaque != "" {
		return nil, fmt.Errorf("store %s: want %s://, and no fragment", where, u.Scheme)
	}
	var s Store
	switch u.Scheme {
	case "file":
		s, err = openDirectory(u)
	case "s3":
		s, err = openBucket(u, opts)
	case "oci":
		s, err = openRegistry(u, opts)
	default:
		err = fmt.Errorf("got scheme %q, want file, s3 or oci", u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", where, err)
	}
	return checked{s, opts.Timeout}, nil
}

// checked holds every store to the same names, bounds and deadlines.
type checked struct {
	inner   Store
	timeout time.Duration
}

func (c checked) Put(ctx context.Context, name string, data []byte) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if len(data) > MaxObject {
		return fmt.Errorf("put %s: got %d bytes, want at most %d: %w", name, len(data), MaxObject, ErrTooLarge)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return wrapped("put "+name, c.inner.Put(ctx, name, data))
}

func (c checked) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	data, err := c.inner.Get(ctx, name, min(most, MaxObject))
	return data, wrapped("get "+name, err)
}

func (c checked) List(ctx context.Context, prefix, after string, most int) ([]Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	found, err := c.inner.List(ctx, prefix, after, min(most, maxListed))
	return found, wrapped("list "+prefix, err)
}

// Holds says why the store could not hold a name, without asking it; nil where it could.
func (c checked) Holds(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if tags, ok := c.inner.(registry); ok {
		return tags.holds(name)
	}
	return nil
}

func wrapped(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// segments are what names are made of: nothing that a path, a URL or a shell reads another way, and nothing hidden.
var segments = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$`)

// CheckName answers whether a name is one that every store can hold.
func CheckName(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("name: got %d bytes, want at most %d", len(name), MaxName)
	}
	if !segments.MatchString(name) {
		return fmt.Errorf("name: got %q, want segments of letters, digits, '.', '_' and '-' that begin with a letter or a digit", name)
	}
	return nil
}

// page sorts what was found, and cuts out what was asked for.
func page(found []Entry, most int) []Entry {
	slices.SortFunc(found, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return found[:min(len(found), max(most, 0))]
}

// asked says whether a name belongs in a listing.
func asked(name, prefix, after string) bool {
	return strings.HasPrefix(name, prefix) && name > after && CheckName(name) == nil
}

// knows refuses parameters that the store does not have.
func knows(u *url.URL, names ...string) (url.Values, error) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("parameters: got what cannot be parsed, want name=value joined by &")
	}
	for name, all := range values {
		switch {
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("parameter %s: want one of %q", name, names)
		case len(all) > 1:
			return nil, fmt.Errorf("parameter %s: got it %d times, want it once", name, len(all))
		}
	}
	return values, nil
}

// truth reads a parameter that is true or false.
func truth(values url.Values, name string) (bool, error) {
	switch got := values.Get(name); got {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	default:
		return false, fmt.Errorf("parameter %s: got %q, want true or false", name, got)
	}
}

// transport is the way to a store. It decompresses nothing, and no answer is longer than an object may be.
func transport(opts Options) http.RoundTripper { return through(opts, http.ProxyFromEnvironment) }

// through is such a way with another choice of proxies.
func through(opts Options, proxy func(*http.Request) (*url.URL, error)) http.RoundTripper {
	return bounded{&http.Transport{
		Proxy:                  proxy,
		TLSClientConfig:        &tls.Config{RootCAs: opts.RootCAs, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ResponseHeaderTimeout:  opts.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        90 * time.Second,
	}}
}

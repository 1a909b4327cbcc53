// Package registries is what an installation says of single registries: whose certificates
// they have, which one we show them, which may be asked over plain HTTP, and which mirrors
// have copies of what they hold.
//
// A [Config] is read once, strictly: a field that is not known is an error, since it would be
// a wish that nobody heard. A [Network] goes by it. A certificate of ours is shown to the
// registry that it is written for, when that is the registry that is asked: never along a
// redirect from another one, which would lend our name to whoever redirects. Plain HTTP is
// for those hosts alone that are listed for it, or near ([edge.Near]).
//
// A mirror is asked for content by its digest and for nothing else: what a tag names, and
// what refers to an image, its origin alone knows. Whoever asks a mirror recomputes the digest.
package registries

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/assay-dev/assay/builtins/oci/edge"
)

const (
	// maxFile bounds the file, and each that it names.
	maxFile = 1 << 20
	// maxRegistries bounds its entries, and maxMirrors the mirrors of one.
	maxRegistries = 1000
	maxMirrors    = 8
)

// Registry is one entry of the file.
type Registry struct {
	// Host is that of the registry, with its port where references write one.
	Host string `yaml:"host"`
	// CA is a PEM file of the authorities that take the system's place for this host.
	CA string `yaml:"ca"`
	// ClientCert and ClientKey are PEM files of the certificate that we show it.
	ClientCert string `yaml:"clientCert"`
	ClientKey  string `yaml:"clientKey"`
	// PlainHTTP has it asked over plain HTTP where it does not answer over TLS.
	PlainHTTP bool `yaml:"plainHTTP"`
	// Mirrors are host or host/prefix, in the order in which they are asked.
	Mirrors []string `yaml:"mirrors"`
}

// Config is what is said of registries. Nil says nothing.
type Config struct {
	entries map[string]entry
}

// entry is a [Registry] that was checked.
type entry struct {
	plain       bool
	roots       *x509.CertPool // nil for the system's
	certificate func(*tls.CertificateRequestInfo) (*tls.Certificate, error)
	mirrors     []mirror
}

type mirror struct{ host, prefix string }

// Read reads a file. Paths in it that are relative start from its directory.
func Read(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	config, err := Parse(data, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

// readFile reads a file up to its bound.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // what was only read loses nothing
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s: got more than %d bytes", path, maxFile)
	}
	return data, err
}

// Parse reads the text of a file in a directory.
func Parse(data []byte, dir string) (*Config, error) {
	var file struct {
		Registries []Registry `yaml:"registries"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("registries: %w", err)
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("registries: got several documents, want one")
	}
	if len(file.Registries) > maxRegistries {
		return nil, fmt.Errorf("registries: got %d, want at most %d", len(file.Registries), maxRegistries)
	}
	out := &Config{entries: map[string]entry{}}
	for i, r := range file.Registries {
		field := fmt.Sprintf("registries[%d]", i)
		host, err := hostOf(r.Host)
		if err != nil {
			return nil, fmt.Errorf("%s.host: %w", field, err)
		}
		if _, twice := out.entries[host]; twice {
			return nil, fmt.Errorf("%s.host: got %s a second time", field, host)
		}
		if out.entries[host], err = r.entry(host, dir); err != nil {
			return nil, fmt.Errorf("%s.%w", field, err)
		}
	}
	return out, nil
}

// hostOf is the one spelling of a registry. The port that https has anyway is left out.
func hostOf(written string) (string, error) {
	host, ok := edge.CanonicalHost(written)
	if !ok {
		return "", fmt.Errorf("got %.100q, want a host of a registry", written)
	}
	return withoutPort(host), nil
}

func withoutPort(host string) string { return strings.TrimSuffix(host, ":443") }

func (r Registry) entry(host, dir string) (out entry, err error) {
	out.plain = r.PlainHTTP
	if r.PlainHTTP && (r.CA != "" || r.ClientCert != "" || r.ClientKey != "") {
		return out, errors.New("plainHTTP: got it beside a certificate, want one or the other")
	}
	if r.CA != "" {
		if out.roots, err = authorities(at(dir, r.CA)); err != nil {
			return out, fmt.Errorf("ca: %w", err)
		}
	}
	if (r.ClientCert == "") != (r.ClientKey == "") {
		return out, errors.New("clientCert: got one of clientCert and clientKey, want both")
	}
	if r.ClientCert != "" {
		// Read again for each connection, as mounted Secrets change.
		out.certificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(at(dir, r.ClientCert), at(dir, r.ClientKey))
			return &pair, err
		}
		if _, err := out.certificate(nil); err != nil {
			return out, fmt.Errorf("clientCert: %w", err)
		}
	}
	out.mirrors, err = mirrorsOf(host, r.Mirrors)
	return out, err
}

func at(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func authorities(path string) (*x509.CertPool, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s: got no certificate in PEM", path)
	}
	return pool, nil
}

func mirrorsOf(origin string, written []string) (out []mirror, err error) {
	if len(written) > maxMirrors {
		return nil, fmt.Errorf("mirrors: got %d, want at most %d", len(written), maxMirrors)
	}
	for i, text := range written {
		host, prefix, _ := strings.Cut(text, "/")
		m := mirror{prefix: strings.TrimSuffix(prefix, "/")}
		if m.host, err = hostOf(host); err != nil {
			return nil, fmt.Errorf("mirrors[%d]: %w", i, err)
		}
		if !isPath(m.prefix) {
			return nil, fmt.Errorf("mirrors[%d]: got prefix %.100q, want the beginning of a repository", i, prefix)
		}
		if m == (mirror{host: origin}) || slices.Contains(out, m) {
			return nil, fmt.Errorf("mirrors[%d]: got %s, want another place than the ones before", i, text)
		}
		out = append(out, m)
	}
	return out, nil
}

// isPath reports whether repositories may begin with a path, or it is empty.
func isPath(path string) bool {
	if path == "" {
		return true
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789._-") != "" {
			return false
		}
	}
	return true
}

// Plain reports whether a registry is listed for plain HTTP.
func (c *Config) Plain(registry string) bool {
	return c != nil && c.entries[withoutPort(registry)].plain
}

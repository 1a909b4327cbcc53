package server

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The certificate, its key and the client CA are one value behind one pointer:
// a handshake sees all of the old or all of the new. The directories are watched,
// not the files, because the kubelet changes a mounted Secret by swapping the
// symbolic link "..data" beside them.

// certificates holds what handshakes use. Build it with loadCertificates.
type certificates struct {
	from    TLS
	log     *slog.Logger
	metrics *Metrics
	current atomic.Pointer[material] // nil as long as a source has nothing

	mu      sync.Mutex
	failure string // of the last reload
}

// material is one reading of the files and sources.
type material struct {
	config  *tls.Config
	sum     [sha256.Size]byte
	expires time.Time
	// What sources gave, to be compared.
	given   *tls.Certificate
	clients []byte
}

// loadCertificates reads the files for the first time: what cannot be read is an
// error, since there is nothing older to serve with. A source may still be to get what
// it gives.
func loadCertificates(from TLS, log *slog.Logger, metrics *Metrics) (*certificates, error) {
	c := &certificates{from: from, log: log, metrics: metrics}
	loaded, err := c.load()
	switch {
	case err == nil:
		c.use(loaded)
	case c.sourced():
		c.failure = err.Error()
		c.log.Warn("no certificate yet", "error", err)
	default:
		return nil, err
	}
	return c, nil
}

// sourced says whether anything is not in files.
func (c *certificates) sourced() bool { return c.from.Source != nil || c.from.ClientCAs != nil }

// tlsConfig asks for the current material in every handshake.
func (c *certificates) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			if c.outdated() {
				c.reload()
			}
			if current := c.current.Load(); current != nil {
				return current.config, nil
			}
			return nil, c.missing()
		},
	}
}

// outdated says whether a source has something else than what serves.
func (c *certificates) outdated() bool {
	current := c.current.Load()
	if current == nil {
		return true
	}
	if c.from.Source != nil {
		if given, err := c.from.Source.Certificate(); err != nil || given != current.given {
			return true
		}
	}
	if c.from.ClientCAs != nil {
		if clients, err := c.from.ClientCAs.ClientCAs(); err != nil || !bytes.Equal(clients, current.clients) {
			return true
		}
	}
	return false
}

// missing is why there is no certificate.
func (c *certificates) missing() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Errorf("no certificate yet: %s", c.failure)
}

// valid says whether the certificate may be shown at an instant.
func (c *certificates) valid(now time.Time) error {
	if c.sourced() && c.outdated() {
		c.reload()
	}
	current := c.current.Load()
	if current == nil {
		return c.missing()
	}
	if now.After(current.expires) {
		return fmt.Errorf("%s: got a certificate that expired %s", c.name(), current.expires.UTC().Format(time.RFC3339))
	}
	return nil
}

// name is where the certificate is, for people.
func (c *certificates) name() string { return cmp.Or(c.from.CertFile, "certificate") }

func (c *certificates) use(m *material) {
	c.current.Store(m)
	c.metrics.certificateExpires(m.expires)
}

// load reads files and sources into material that is complete, or says what is wrong.
func (c *certificates) load() (*material, error) {
	pair, err := c.pair()
	if err != nil {
		return nil, err
	}
	clients, err := c.clients()
	if err != nil {
		return nil, err
	}
	loaded := &material{
		sum: sha256.Sum256(bytes.Join(append(slices.Clone(pair.Certificate), clients), []byte{0})), expires: pair.Leaf.NotAfter,
		given: pair, clients: clients,
		config: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{*pair},
			NextProtos:   []string{"h2", "http/1.1"},
			// A resumed session would keep a client that a new CA does not know.
			SessionTicketsDisabled: true,
		},
	}
	if !c.from.asksClients() {
		return loaded, nil
	}
	loaded.config.ClientCAs = x509.NewCertPool()
	if !loaded.config.ClientCAs.AppendCertsFromPEM(clients) {
		return nil, fmt.Errorf("%s: got no certificate, want PEM", strings.TrimSpace("client CA "+c.from.ClientCAFile))
	}
	loaded.config.ClientAuth = tls.VerifyClientCertIfGiven
	return loaded, nil
}

// pair is the certificate with its key.
func (c *certificates) pair() (*tls.Certificate, error) {
	if c.from.Source == nil {
		certificate, err := readFile(c.from.CertFile)
		if err != nil {
			return nil, err
		}
		key, err := readFile(c.from.KeyFile)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", c.from.CertFile, c.from.KeyFile, err)
		}
		return &pair, nil
	}
	pair, err := c.from.Source.Certificate()
	switch {
	case err != nil:
		return nil, fmt.Errorf("certificate: %w", err)
	case pair == nil || len(pair.Certificate) == 0 || pair.Leaf == nil:
		return nil, errors.New("certificate: got none, want one with its leaf")
	}
	return pair, nil
}

// clients are the CAs of clients, none where nobody asks for them.
func (c *certificates) clients() ([]byte, error) {
	switch {
	case c.from.ClientCAs != nil:
		clients, err := c.from.ClientCAs.ClientCAs()
		if err != nil {
			return nil, fmt.Errorf("client CA: %w", err)
		}
		return clients, nil
	case c.from.ClientCAFile != "":
		return readFile(c.from.ClientCAFile)
	default:
		return nil, nil
	}
}

func readFile(name string) ([]byte, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return content, nil
}

// reload takes new material if there is any. What cannot be used leaves the old
// serving, and is said once: a log in the same directory would wake the watch.
func (c *certificates) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	loaded, err := c.load()
	current := c.current.Load()
	if err == nil && current != nil && loaded.sum == current.sum {
		c.failure = ""
		c.current.Store(loaded) // of the same content, and with what the source gave
		return
	}
	if err != nil && err.Error() == c.failure {
		return
	}
	c.failure = ""
	if err != nil {
		c.failure = err.Error()
	}
	c.metrics.certificateReloaded(err)
	switch {
	case err != nil && current == nil:
		c.log.Error("no certificate yet", "error", err)
	case err != nil:
		c.log.Error("certificate not reloaded, the old one serves", "error", err, "expires", current.expires)
	default:
		c.use(loaded)
		c.log.Info("certificate reloaded", "file", c.from.CertFile, "expires", loaded.expires)
	}
}

// subscribe starts to watch, then takes what changed before that.
func (c *certificates) subscribe() *Watch {
	defer c.reload()
	var directories []string
	for _, name := range []string{c.from.CertFile, c.from.KeyFile, c.from.ClientCAFile} {
		if name != "" {
			directories = append(directories, filepath.Dir(name))
		}
	}
	return NewWatch(c.log, directories)
}

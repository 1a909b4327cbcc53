package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// The certificate, its key and the client CA are one value behind one pointer:
// a handshake sees all of the old or all of the new. The directories are watched,
// not the files, because the kubelet changes a mounted Secret by swapping the
// symbolic link "..data" beside them.

// certificates holds what handshakes use. Build it with loadCertificates.
type certificates struct {
	files   TLS
	log     *slog.Logger
	metrics *Metrics
	current atomic.Pointer[material]
	failure string // of the last reload; reloads come one after another
}

// material is one reading of the files.
type material struct {
	config  *tls.Config
	sum     [sha256.Size]byte
	expires time.Time
}

// loadCertificates reads the files for the first time: what cannot be read is an
// error, since there is nothing older to serve with.
func loadCertificates(files TLS, log *slog.Logger, metrics *Metrics) (*certificates, error) {
	c := &certificates{files: files, log: log, metrics: metrics}
	loaded, err := c.load()
	if err != nil {
		return nil, err
	}
	c.use(loaded)
	return c, nil
}

// tlsConfig asks for the current material in every handshake.
func (c *certificates) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.current.Load().config, nil
		},
	}
}

// valid says whether the certificate may be shown at an instant.
func (c *certificates) valid(now time.Time) error {
	if expires := c.current.Load().expires; now.After(expires) {
		return fmt.Errorf("%s: got a certificate that expired %s", c.files.CertFile, expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func (c *certificates) use(m *material) {
	c.current.Store(m)
	c.metrics.certificateExpires(m.expires)
}

// load reads the files into material that is complete, or says what is wrong.
func (c *certificates) load() (*material, error) {
	names := []string{c.files.CertFile, c.files.KeyFile}
	if c.files.ClientCAFile != "" {
		names = append(names, c.files.ClientCAFile)
	}
	contents := make([][]byte, len(names))
	for i, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read certificate: %w", err)
		}
		contents[i] = content
	}
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", names[0], names[1], err)
	}
	loaded := &material{
		sum:     sha256.Sum256(bytes.Join(contents, []byte{0})),
		expires: pair.Leaf.NotAfter,
		config: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			Certificates: []tls.Certificate{pair},
			NextProtos:   []string{"h2", "http/1.1"},
			// A resumed session would keep a client that a new CA does not know.
			SessionTicketsDisabled: true,
		},
	}
	if c.files.ClientCAFile == "" {
		return loaded, nil
	}
	loaded.config.ClientCAs = x509.NewCertPool()
	if !loaded.config.ClientCAs.AppendCertsFromPEM(contents[2]) {
		return nil, fmt.Errorf("client CA %s: got no certificate, want PEM", names[2])
	}
	loaded.config.ClientAuth = tls.VerifyClientCertIfGiven
	return loaded, nil
}

// reload takes new material if there is any. What cannot be used leaves the old
// serving, and is said once: a log in the same directory would wake the watch.
func (c *certificates) reload() {
	loaded, err := c.load()
	if err == nil && loaded.sum == c.current.Load().sum {
		c.failure = ""
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
	if err != nil {
		c.log.Error("certificate not reloaded, the old one serves", "error", err,
			"expires", c.current.Load().expires)
		return
	}
	c.use(loaded)
	c.log.Info("certificate reloaded", "file", c.files.CertFile, "expires", loaded.expires)
}

// subscribe starts to watch, then takes what changed before that.
func (c *certificates) subscribe() *Watch {
	defer c.reload()
	var directories []string
	for _, name := range []string{c.files.CertFile, c.files.KeyFile, c.files.ClientCAFile} {
		if name != "" {
			directories = append(directories, filepath.Dir(name))
		}
	}
	return NewWatch(c.log, directories)
}

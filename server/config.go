package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/assay-dev/assay/server/admission"
)

// Decider decides about one review, given as the bytes that the API server sent.
// It is called by many goroutines at once. Its context ends at the deadline of
// the request; it answers before that. An error denies, as the zero Decision does.
type Decider interface {
	Decide(ctx context.Context, review []byte) (Decision, error)
}

// DeciderFunc is a function that decides.
type DeciderFunc func(ctx context.Context, review []byte) (Decision, error)

// Decide calls f.
func (f DeciderFunc) Decide(ctx context.Context, review []byte) (Decision, error) {
	return f(ctx, review)
}

// Decision is what a Decider answers. The zero value denies.
type Decision struct {
	admission.Verdict
	// Images is how many images were looked at, for the log.
	Images int
}

// Check is one condition of being ready.
type Check struct {
	// Name is what /readyz calls it: one word.
	Name string
	// Err is why it does not hold, nil when it does.
	Err error
	// Note is what people should know while it holds: ?verbose shows it.
	Note string
}

// CertificateSource has a certificate that is in no file. It is asked in every
// handshake, must not wait, and gives the same pointer until it has another certificate,
// with its Leaf, which serves from then on. As long as it has none the server listens, lets
// no handshake succeed and is not ready; an error later leaves the last one serving.
type CertificateSource interface {
	Certificate() (*tls.Certificate, error)
}

// ClientCASource has the CAs of clients, in PEM, in the way in which a CertificateSource
// has a certificate.
type ClientCASource interface {
	ClientCAs() ([]byte, error)
}

// TLS names the files of the server's certificate, or what has it. Files are read again
// when they change, symbolic links of mounted Secrets included.
type TLS struct {
	// CertFile holds the certificate, followed by its intermediates, in PEM.
	CertFile string
	// KeyFile holds the private key in PEM.
	KeyFile string
	// ClientCAFile, if set, holds the CAs of the clients that may call the
	// webhooks, in PEM. Without it everybody who reaches the port may.
	ClientCAFile string
	// Source takes the place of CertFile and KeyFile.
	Source CertificateSource
	// ClientCAs takes the place of ClientCAFile.
	ClientCAs ClientCASource
}

// asksClients says whether the webhooks are for clients with a certificate only.
func (t TLS) asksClients() bool { return t.ClientCAFile != "" || t.ClientCAs != nil }

// check refuses what is given twice, or in part.
func (t TLS) check() error {
	switch {
	case t.Source != nil && (t.CertFile != "" || t.KeyFile != ""):
		return errors.New("server: got certificate files and a source, want one of them")
	case t.ClientCAFile != "" && t.ClientCAs != nil:
		return errors.New("server: got a file and a source of client CAs, want one of them")
	case t.Source == nil && (t.CertFile == "" || t.KeyFile == ""):
		return fmt.Errorf("server: got certificate file %q and key file %q, want both, or InsecurePlainHTTP",
			t.CertFile, t.KeyFile)
	default:
		return nil
	}
}

// Config is what a server needs. Validate, Mutate, Ready and either TLS or
// InsecurePlainHTTP must be given. For each number, 0 is the default and a
// negative one is refused: there is no way to switch a limit off.
type Config struct {
	// Addr is host:port; port 0 takes a free one.
	Addr string
	// TLS is the certificate. TLS 1.3 is the least that is spoken.
	TLS TLS
	// InsecurePlainHTTP serves without TLS: for tests and behind a proxy only.
	// The API server itself never calls a webhook without TLS.
	InsecurePlainHTTP bool

	// Validate decides for /validate.
	Validate Decider
	// Mutate decides for /mutate.
	Mutate Decider
	// PolicyValidate decides for /policies/validate about policies that are applied;
	// without it there is no such route.
	PolicyValidate Decider
	// PolicyDefault gives the patch for /policies/default; without it there is no such
	// route.
	PolicyDefault Decider
	// Mounted are handlers of others. Token is what those send who have no client
	// certificate; it is asked in every request, and nil is none.
	Mounted []Mounted
	Token   func() (string, error)
	// Ready returns the checks of /readyz, in the order in which they are shown.
	// It is called for every probe and must not wait.
	Ready func() []Check
	// Logger gets one line per decision. The default discards.
	Logger *slog.Logger
	// Observer is told of reviews that are decided. The default is told nothing.
	Observer Observer
	// Metrics is where the server counts. The default is a new one.
	Metrics *Metrics

	// Timeout bounds a decision when the API server asks for no less; 10s.
	Timeout time.Duration
	// BodyLimit bounds a review in bytes; 19 MiB, which is more than any review of an
	// object that can be stored.
	BodyLimit int64
	// MaxInFlight bounds how many reviews are decided at once; 256. More wait, and are
	// denied. Bodies that are still being read do not count: BodyLimit and ReadTimeout
	// bound those.
	MaxInFlight int
	// ReadHeaderTimeout bounds the TLS handshake and the headers; 5s.
	ReadHeaderTimeout time.Duration
	// ReadTimeout bounds the reading of a whole request from its first byte; 5s.
	ReadTimeout time.Duration
	// IdleTimeout bounds an idle connection; 120s, longer than the 90s for which
	// the API server keeps one, so that it is never us who hang up.
	IdleTimeout time.Duration
	// MaxHeaderBytes bounds the headers; 64 KiB.
	MaxHeaderBytes int
	// DrainDelay is how long reviews are still taken after readiness failed; 5s.
	DrainDelay time.Duration
	// DrainTimeout bounds how long requests in flight may take after that; 30s,
	// the longest timeout that a webhook can have.
	DrainTimeout time.Duration
}

// writeMargin is what is left for writing an answer after the latest deadline.
const writeMargin = 5 * time.Second

// withDefaults returns the configuration with every field set, or says which
// decision it lacks.
func (c Config) withDefaults() (Config, error) {
	if err := c.check(); err != nil {
		return c, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = unobserved{}
	}
	if c.Metrics == nil {
		c.Metrics = NewMetrics("")
	}
	return c, errors.Join(
		setDefault("Timeout", &c.Timeout, 10*time.Second),
		setDefault("BodyLimit", &c.BodyLimit, bodyLimit),
		setDefault("MaxInFlight", &c.MaxInFlight, 256),
		setDefault("ReadHeaderTimeout", &c.ReadHeaderTimeout, 5*time.Second),
		setDefault("ReadTimeout", &c.ReadTimeout, 5*time.Second),
		setDefault("IdleTimeout", &c.IdleTimeout, 120*time.Second),
		setDefault("MaxHeaderBytes", &c.MaxHeaderBytes, 64<<10),
		setDefault("DrainDelay", &c.DrainDelay, 5*time.Second),
		setDefault("DrainTimeout", &c.DrainTimeout, 30*time.Second),
	)
}

// check refuses a configuration that leaves a decision open.
func (c Config) check() error {
	switch {
	case c.Validate == nil:
		return errors.New("server: got no Validate, want a Decider")
	case c.Mutate == nil:
		return errors.New("server: got no Mutate, want a Decider")
	case c.Ready == nil:
		return errors.New("server: got no Ready, want the checks of /readyz")
	case c.InsecurePlainHTTP && (c.TLS.CertFile != "" || c.TLS.KeyFile != "" || c.TLS.Source != nil || c.TLS.asksClients()):
		return errors.New("server: got TLS files and InsecurePlainHTTP, want one of them")
	case !c.InsecurePlainHTTP:
		return errors.Join(c.TLS.check(), c.checkMounted())
	default:
		return c.checkMounted()
	}
}

// setDefault gives a limit that is not set its default.
func setDefault[N ~int | ~int64](name string, value *N, fallback N) error {
	if *value < 0 {
		return fmt.Errorf("server: got %s %v, want more than 0, or 0 for %v", name, *value, fallback)
	}
	if *value == 0 {
		*value = fallback
	}
	return nil
}

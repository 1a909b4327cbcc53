// Package sigstore runs a Sigstore for a test, as processes of the test on loopback: Fulcio, Rekor
// v2 and a timestamp authority, with an OpenID Connect issuer that vouches for whom the test likes.
//
//	s := sigstore.Start(t)
//	token, err := s.Issuer.Token("jane@example.com")
//
// Their clients are [Cosign2], which writes signatures as tags, and [Cosign3], which writes bundles.
// There is no certificate transparency log: certificates have no SCT.
package sigstore

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/assay-dev/assay/e2e/loopback"
	"github.com/assay-dev/assay/e2e/process"
	"github.com/assay-dev/assay/e2e/tools"
)

// Sigstore is one that runs.
type Sigstore struct {
	// Dir has keys, certificates, the log's tiles, and what each component logged as NAME.log.
	Dir string
	// Issuer vouches for identities.
	Issuer *Issuer
	// Fulcio, Rekor and Timestamps are URLs.
	Fulcio, Rekor, Timestamps string

	network              loopback.Network
	authority, timestamp *chain
	log                  *logKey
}

// Cosign2 builds cosign v2, unless it is up to date, and gives its path.
func Cosign2(ctx context.Context) (string, error) { return cosign(ctx, ".cosign2") }

// Cosign3 does so with cosign v3.
func Cosign3(ctx context.Context) (string, error) { return cosign(ctx, ".cosign3") }

func cosign(ctx context.Context, name string) (string, error) {
	module, err := tools.Find(name)
	if err != nil {
		return "", err
	}
	bin, err := module.Build(ctx, "")
	return filepath.Join(bin, "cosign"), err
}

// Start builds what is not built yet, starts everything and returns when it is ready. It fails
// the test if it cannot.
func Start(t testing.TB) *Sigstore {
	t.Helper()
	module, err := tools.Find(".sigstore")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := module.Build(t.Context(), "")
	if err != nil {
		t.Fatalf("build Sigstore: %v", err)
	}
	network, err := loopback.Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(network.Release)
	s := &Sigstore{Dir: t.TempDir(), network: network}
	if s.Issuer, err = newIssuer(network.Address(1, 1)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Issuer.close)
	if err := s.mint(); err != nil {
		t.Fatalf("mint the keys of Sigstore: %v", err)
	}
	components, err := s.components()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range components {
		if c.process, err = process.Start(s.Dir, c.name, filepath.Join(bin, c.program), c.args...); err != nil {
			t.Fatalf("start %s: %v", c.name, err)
		}
		t.Cleanup(func() { c.process.Stop(t) })
	}
	for _, c := range components { // they start beside each other
		if err := c.process.Await(t.Context(), answers(c.ready)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// mint makes what the components need before they start.
func (s *Sigstore) mint() error {
	var err error
	if s.authority, err = newAuthority("fulcio of a test"); err != nil {
		return err
	}
	if s.timestamp, err = newTimestampAuthority("timestamps of a test"); err != nil {
		return err
	}
	if s.log, err = newLogKey(); err != nil {
		return err
	}
	config := fmt.Sprintf("oidc-issuers:\n  %[1]s: {issuer-url: %[1]q, client-id: %[2]s, type: email}\n", s.Issuer.URL, audience)
	for name, content := range map[string][]byte{
		"fulcio.yaml": []byte(config), "fulcio.pem": s.authority.certificates, "fulcio.key": s.authority.key,
		"timestamps.pem": s.timestamp.certificates, "timestamps.key": s.timestamp.key, "rekor.key": s.log.key,
	} {
		if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// component is one that is started, and answers GET at ready once it is.
type component struct {
	name, program, ready string
	args                 []string
	process              *process.Process
}

func (s *Sigstore) components() ([]*component, error) {
	var host, port [4]string // of Fulcio, of Rekor for both its protocols, and of the timestamps
	for n, address := range []int{2, 3, 3, 4} {
		free, err := loopback.FreePort(s.network.Address(1, address))
		if err != nil {
			return nil, err
		}
		if host[n], port[n], err = net.SplitHostPort(free); err != nil {
			return nil, err
		}
	}
	s.Fulcio, s.Rekor, s.Timestamps = "http://"+host[0]+":"+port[0], "http://"+host[1]+":"+port[1], "http://"+host[3]+":"+port[3]
	return []*component{
		{name: "fulcio", program: "fulcio", ready: s.Fulcio + "/api/v2/trustBundle", args: []string{
			"serve", "--config-path=" + s.path("fulcio.yaml"), "--ct-log-url=", "--ca=fileca", "--fileca-watch=false",
			"--fileca-cert=" + s.path("fulcio.pem"), "--fileca-key=" + s.path("fulcio.key"), "--fileca-key-passwd=none",
			// Its HTTP server asks its gRPC server at localhost, whatever the address.
			"--http-host=" + host[0], "--http-port=" + port[0], "--grpc-host=127.0.0.1", "--grpc-port=0",
			"--metrics-port=0", "--legacy-unix-domain-socket=" + s.path("fulcio.sock"),
		}},
		{name: "rekor", program: "posix", ready: s.Rekor + "/healthz", args: []string{
			"serve", "--storage-dir=" + s.path("tiles"), "--signer-filepath=" + s.path("rekor.key"),
			// The name of the log is its host: it is what verifiers expect of a log at that URL.
			"--hostname=" + host[1], "--http-address=" + host[1], "--http-port=" + port[1],
			"--grpc-address=" + host[2], "--grpc-port=" + port[2], "--http-metrics-port=0",
			// An entry is answered when a checkpoint covers it.
			"--batch-max-age=10ms", "--checkpoint-interval=1s",
		}},
		{name: "timestamps", program: "timestamps", ready: s.Timestamps + "/ping", args: []string{
			"--host=" + host[3], "--port=" + port[3],
			"--file-signer-key-path=" + s.path("timestamps.key"), "--certificate-chain-path=" + s.path("timestamps.pem"),
		}},
	}, nil
}

// answers asks for 200 of a component.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
			return fmt.Errorf("%s: got %s: %s, want 200", url, response.Status, body)
		}
		return nil
	}
}

func (s *Sigstore) path(name string) string { return filepath.Join(s.Dir, name) }

package e2e_test

import (
	"crypto/tls"
	"os"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/world/tuf"
)

// mirror is a TUF repository behind a URL, and what happens to it.
func mirror(ts *testscript.TestScript, s *story, args []string) {
	target := func() tuf.Target {
		if len(args) < 2 {
			ts.Fatalf("usage: mirror %s FILE", args[0])
		}
		return tuf.Target{Name: "trusted_root.json", Content: []byte(ts.ReadFile(args[1]))}
	}
	lasting := tuf.At(time.Now().Add(time.Hour))
	switch args[0] {
	case "serve":
		serveMirror(ts, s, target(), lasting)
	case "publish":
		ts.Check(s.mirror.Publish(lasting, target()))
	case "rotate":
		ts.Check(s.mirror.Rotate(lasting))
	case "down", "up":
		s.mirror.Down.Store(args[0] == "down")
	default:
		ts.Fatalf("got %q, want serve, publish, rotate, down or up", args[0])
	}
}

func serveMirror(ts *testscript.TestScript, s *story, target tuf.Target, lasting tuf.Expires) {
	repository, err := tuf.New(lasting, target)
	ts.Check(err)
	expired, err := tuf.New(tuf.At(time.Now().Add(-time.Minute)), target)
	ts.Check(err)
	authority, err := cluster.NewAuthority("TUF mirror of a test")
	ts.Check(err)
	certificate, key, err := authority.Server("127.0.0.1")
	ts.Check(err)
	pair, err := tls.X509KeyPair(certificate, key)
	ts.Check(err)
	s.mirror = tuf.ServeTLS(repository, pair)
	ts.Defer(s.mirror.Close)
	s.believe(ts, authority.PEM)
	for file, content := range map[string]func(string) ([]byte, error){
		"remote.yaml": s.mirror.TrustRoot, "repository.yaml": repository.TrustRoot, "expired.yaml": expired.TrustRoot,
	} {
		text, err := content("sigstore")
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(file), text, 0o600))
	}
}

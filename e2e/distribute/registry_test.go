package distribute_test

import (
	"os"
	"os/exec"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/registry"
	"github.com/assay-dev/assay/e2e/sigstore"
)

func startRegistry(ts *testscript.TestScript, s *story, args []string) {
	if len(args) == 1 && args[0] == "down" {
		s.registry.Down()
		return
	}
	s.registry = registry.Start(s.t, nil)
	s.set(ts, "registry", s.registry.Host)
	s.believe(ts, s.registry.Roots)
}

func startSigstore(ts *testscript.TestScript, s *story, _ []string) {
	s.sigstore = sigstore.Start(s.t)
	for name, url := range map[string]string{
		"issuer": s.sigstore.Issuer.URL, "fulcio": s.sigstore.Fulcio, "rekor": s.sigstore.Rekor, "timestamps": s.sigstore.TimestampURL(),
	} {
		s.set(ts, name, url)
	}
	for file, content := range map[string]func() ([]byte, error){
		"trusted_root.json": s.sigstore.TrustedRoot, "signing_config.json": s.sigstore.SigningConfig,
		"trustroot.yaml": func() ([]byte, error) { return s.sigstore.TrustRoot("sigstore") },
	} {
		text, err := content()
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(file), text, 0o600))
	}
}

// login gives the token of an identity to a variable.
func login(ts *testscript.TestScript, s *story, args []string) {
	token, err := s.sigstore.Issuer.Token(args[1])
	ts.Check(err)
	ts.Setenv(args[0], token)
}

// push has assay push a bundle, and keeps the name by digest that it prints.
func push(ts *testscript.TestScript, s *story, args []string) {
	command := exec.CommandContext(s.t.Context(), s.assay, "push", args[1], s.registry.Host+"/"+args[2])
	command.Dir, command.Env = ts.MkAbs("."), s.env.Vars
	out, err := command.Output()
	ts.Check(err)
	ts.Setenv(args[0], strings.TrimSpace(string(out)))
}

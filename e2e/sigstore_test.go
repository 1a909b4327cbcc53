package e2e_test

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/assay-dev/assay/e2e/registry"
	"github.com/assay-dev/assay/e2e/sigstore"
)

func startSigstore(ts *testscript.TestScript, s *story, _ []string) {
	s.sigstore = sigstore.Start(s.t)
	for variable, url := range map[string]string{
		"issuer": s.sigstore.Issuer.URL, "fulcio": s.sigstore.Fulcio, "rekor": s.sigstore.Rekor,
		"timestamps": s.sigstore.TimestampURL(),
	} {
		ts.Setenv(variable, url)
	}
	const resource = "sigstore"
	for file, content := range map[string]func() ([]byte, error){
		"trusted_root.json": s.sigstore.TrustedRoot, "signing_config.json": s.sigstore.SigningConfig,
		"strange_trusted_root.json": s.sigstore.StrangeTrustedRoot,
		"trustroot.yaml":            func() ([]byte, error) { return s.sigstore.TrustRoot(resource) },
		"strange_trustroot.yaml":    func() ([]byte, error) { return s.sigstore.StrangeTrustRoot(resource) },
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

func startRegistry(ts *testscript.TestScript, s *story, args []string) {
	if len(args) == 2 {
		s.user = &registry.User{Name: args[0], Password: args[1]}
	}
	s.registry = registry.Start(s.t, s.user)
	ts.Setenv("registry", s.registry.Host)
	roots, err := os.ReadFile(s.registry.Roots)
	ts.Check(err)
	s.believe(ts, roots)
}

// believe adds a certificate authority, PEM, to those that assay and cosign know. Nothing that they
// ask has a certificate of others.
func (s *story) believe(ts *testscript.TestScript, authority []byte) {
	s.roots = append(s.roots, authority...)
	file := ts.MkAbs("roots.pem")
	ts.Check(os.WriteFile(file, s.roots, 0o600))
	ts.Setenv("SSL_CERT_FILE", file)
	s.env.Vars = append(slices.Clip(s.env.Vars), "SSL_CERT_FILE="+file)
}

// pushImage pushes an image that has its name in its configuration: no two are the same.
func pushImage(ts *testscript.TestScript, s *story, args []string) {
	image, err := mutate.Config(empty.Image, v1.Config{User: args[0]})
	ts.Check(err)
	tag, err := name.NewTag(s.registry.Host + "/" + args[1])
	ts.Check(err)
	who := authn.Anonymous
	if s.user != nil {
		who = &authn.Basic{Username: s.user.Name, Password: s.user.Password}
	}
	ts.Check(remote.Write(tag, image, remote.WithAuth(who), remote.WithTransport(s.registry.Transport), remote.WithContext(s.t.Context())))
	digest, err := image.Digest()
	ts.Check(err)
	ts.Setenv(args[0], tag.Name())
	ts.Setenv(args[0]+"@", tag.Digest(digest.String()).Name())
	ts.Setenv("digest:"+args[0], digest.String())
}

// cosign makes a command of one. Negated, it has to fail.
func cosign(build func(context.Context) (string, error)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		path, err := build(of(ts).t.Context())
		ts.Check(err)
		program(path)(ts, neg, args)
	}
}

// expansion is a variable in a file.
var expansion = regexp.MustCompile(`\$\{[^{}]+\}`)

// expand puts the variables of the story into a text: ${key:NAME} is what NAME.pub holds, indented
// as its line is. What it does not know stays.
func expand(ts *testscript.TestScript, text string) string {
	lines := strings.SplitAfter(text, "\n")
	for n, line := range lines {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		lines[n] = expansion.ReplaceAllStringFunc(line, func(match string) string {
			variable := match[len("${") : len(match)-len("}")]
			if key, ok := strings.CutPrefix(variable, "key:"); ok {
				if pem, err := os.ReadFile(ts.MkAbs(key + ".pub")); err == nil {
					return strings.ReplaceAll(strings.TrimSpace(string(pem)), "\n", "\n"+indent)
				}
			}
			if value := ts.Getenv(variable); value != "" {
				return value
			}
			return match
		})
	}
	return strings.Join(lines, "")
}

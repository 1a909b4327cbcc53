// Package demo shows the product in ten seconds: a registry and a Sigstore in memory,
// the webhook over TLS, and images that it admits and denies.
package demo

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/world"
)

// The demo's world and policy, as a user would write them.
//
//go:embed world.yaml policy.yaml
var files embed.FS

// Program is what the demo wants of the program that it shows.
type Program struct {
	// Serve starts the webhook with the files in a directory: policies,
	// trusted_root.json, tls.crt and tls.key.
	Serve func(ctx context.Context, dir string, log io.Writer) (*Webhook, error)
	// Compile gives the Rego of the policies in a directory, by path.
	Compile func(ctx context.Context, dir string) (map[string]string, error)
}

// Command is assay demo.
func Command(program Program) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a signed image being admitted and an unsigned one denied",
		Long: "Demo starts a registry and a Sigstore in memory, the webhook over TLS, and sends it admission reviews:\n" +
			"first without a policy, then with one. It needs no network and leaves nothing behind.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), program, keep, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave everything running until interrupted")
	return cmd
}

// stage is the demo under way.
type stage struct {
	program Program
	out     io.Writer
	world   *world.World
	dir     string // of the webhook: policies, certificate, trusted root
	webhook *client
}

func run(ctx context.Context, program Program, keep bool, out, log io.Writer) error {
	s, cleanup, err := newStage(program, out)
	if err != nil {
		return err
	}
	defer cleanup()
	stop, err := s.start(ctx, log)
	if err != nil {
		return err
	}
	defer stop()
	if err := s.play(ctx); err != nil {
		return err
	}
	if !keep {
		return nil
	}
	fmt.Fprintf(out, "\nEverything is running; interrupt to end it. Edit %s and see the answers change:\n\n  %s\n\n  %s\n",
		filepath.Join(s.dir, "policies"), s.curl(), s.verify())
	<-ctx.Done()
	return nil
}

func newStage(program Program, out io.Writer) (*stage, func(), error) {
	text, err := files.ReadFile("world.yaml")
	if err != nil {
		return nil, nil, err
	}
	description, err := world.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	w, err := world.New(description)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "assay-demo-")
	if err != nil {
		return nil, nil, err
	}
	s := &stage{program: program, out: out, world: w, dir: dir}
	cleanup := func() {
		_ = w.Close()
		_ = os.RemoveAll(dir)
	}
	if err := s.prepare(); err != nil {
		cleanup()
		return nil, nil, err
	}
	return s, cleanup, nil
}

// prepare writes the files that the webhook is started with.
func (s *stage) prepare() error {
	root, err := s.world.TrustedRoot()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "trusted_root.json"), root, 0o600); err != nil {
		return err
	}
	return os.Mkdir(filepath.Join(s.dir, "policies"), 0o700)
}

// play tells the story: no policy, a policy, four images.
func (s *stage) play(ctx context.Context) error {
	s.say("A registry and a Sigstore are running on loopback, and the webhook has no policy yet.")
	if err := s.admit(ctx, "signed"); err != nil {
		return err
	}
	if err := s.apply(ctx); err != nil {
		return err
	}
	for _, image := range []struct{ name, about string }{
		{"signed", "Signed by the release workflow:"},
		{"unsigned", "Not signed at all:"},
		{"wrongly-signed", "Signed, but by somebody else:"},
		{"attested", "Not signed, but with a provenance attestation of the release workflow:"},
	} {
		s.say("%s", image.about)
		if err := s.admit(ctx, image.name); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) say(pattern string, args ...any) {
	fmt.Fprintf(s.out, "\n# "+pattern+"\n", args...)
}

// apply puts the policy in place and shows the Rego that decides from now on.
func (s *stage) apply(ctx context.Context) error {
	text, err := files.ReadFile("policy.yaml")
	if err != nil {
		return err
	}
	policy := s.world.Expand(string(text))
	s.say("Apply a ClusterImagePolicy:")
	fmt.Fprintf(s.out, "\n%s", policy)
	if err := os.WriteFile(filepath.Join(s.dir, "policies", "policy.yaml"), []byte(policy), 0o600); err != nil {
		return err
	}
	compiled, err := s.program.Compile(ctx, filepath.Join(s.dir, "policies"))
	if err != nil {
		return err
	}
	s.say("It becomes this Rego (rego/lib joins it with the others):")
	fmt.Fprintf(s.out, "\n%s", compiled["cip/released-by-acme.rego"])
	return s.webhook.waitFor(1)
}

// admit creates a Pod of the image as the API server does: it is mutated, then
// validated.
func (s *stage) admit(ctx context.Context, name string) error {
	ref, _, _ := s.world.Image(name)
	fmt.Fprintf(s.out, "\n$ kubectl run demo --image=%s\n", ref)
	review, err := reviews.Pod([]string{ref})
	if err != nil {
		return err
	}
	mutated, err := s.webhook.post(ctx, "/mutate", review)
	if err != nil {
		return err
	}
	image := ref
	for _, operation := range mutated.patch {
		image = operation.Value
		fmt.Fprintf(s.out, "POST /mutate    %s %s\n                %s\n", operation.Op, operation.Path, operation.Value)
	}
	if review, err = reviews.Pod([]string{image}); err != nil {
		return err
	}
	validated, err := s.webhook.post(ctx, "/validate", review)
	if err != nil {
		return err
	}
	answer := "allowed"
	if !validated.allowed {
		answer = "denied, " + strings.ReplaceAll(validated.message, "\n", "\n                ")
	}
	fmt.Fprintf(s.out, "POST /validate  %s\n", answer)
	return nil
}

// curl is a command with which a reader can ask the webhook.
func (s *stage) curl() string {
	ref, digest, _ := s.world.Image("signed")
	review, err := reviews.Pod([]string{ref + "@" + digest})
	if err != nil {
		return ""
	}
	var compact json.RawMessage = review
	return fmt.Sprintf("curl --cacert %s -H 'Content-Type: application/json' -d '%s' %s/validate",
		filepath.Join(s.dir, "tls.crt"), compact, s.webhook.url)
}

// verify is a command with which a reader can ask about an image without the webhook.
func (s *stage) verify() string {
	ref, _, _ := s.world.Image("unsigned")
	return fmt.Sprintf("assay verify --policy %s --trusted-root %s %s",
		filepath.Join(s.dir, "policies"), filepath.Join(s.dir, "trusted_root.json"), ref)
}

// settleTime bounds how long the demo waits for its own webhook.
const settleTime = 10 * time.Second

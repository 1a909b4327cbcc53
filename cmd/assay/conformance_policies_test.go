package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/wiring"
	"github.com/assay-dev/assay/rego"
)

// measured is one row of policies/measured/expected.json: what policy-controller
// said of an image.
type measured struct {
	Policy, Image, TrustRoot, Verdict string
	Errors, Warnings                  []string
}

// TestConformancePolicies judges the measured images as `assay verify` does, all
// that are measured against a policy with one engine: compiling it is most of what
// one takes.
func TestConformancePolicies(t *testing.T) {
	data := conformanceData(t)
	var expected struct{ Verdicts []measured }
	if err := readJSON(filepath.Join(data, "policies", "measured", "expected.json"), &expected); err != nil {
		t.Fatal(err)
	}
	host, _ := serveLayouts(t, filepath.Join(data, "images"))
	engines := map[[3]string]*measuring{}
	right, said := 0, 0
	for _, m := range expected.Verdicts {
		key := [3]string{m.Policy, m.TrustRoot}
		if strings.HasSuffix(m.Image, "-blob-digest-mismatch") {
			key[2] = m.Image // whoever has read that blob elsewhere does not ask for it
		}
		if engines[key] == nil {
			engines[key] = measure(t, data, m)
		}
		got, decision, err := engines[key].judge(t, host+"/"+m.Image+"@"+digestOf(t, data, m.Image))
		said++
		if err != nil {
			t.Errorf("%s %s: %v", m.Policy, m.Image, err)
			continue
		}
		if got != m.Verdict {
			t.Errorf("%s %s: got %s, want %s\n  %v %v", m.Policy, m.Image, got, m.Verdict, decision.Reasons, m.Errors)
			continue
		}
		if text, ok := samePrefix(decision, m, host); !ok {
			t.Errorf("%s %s: the text differs before upstream's last prefix ends\n  got  %s\n  want %s", m.Policy, m.Image, text, append(m.Errors, m.Warnings...))
			continue
		}
		right++
	}
	t.Logf("policies: %d of %d right", right, said)
}

// measuring is one policy with the trust root it was measured with.
type measuring struct {
	engine *rego.Engine
	warned bool // by advice about the policy, which policy-tester counts too
}

func measure(t *testing.T, data string, m measured) *measuring {
	t.Helper()
	var stderr bytes.Buffer
	flags := verifyFlags{timeout: time.Minute, Flags: wiring.Flags{
		Policies:    []string{filepath.Join(data, "policies", "measured", m.Policy)},
		TrustRoots:  []string{filepath.Join(data, "trust", "trustroots", m.TrustRoot+".yaml")},
		TrustedRoot: filepath.Join(data, "trust", "public-good", "trusted_root.json"),
		NoMatch:     "deny", IdentityRegexp: "upstream", InlinePolicies: "upstream", PrivateRegistries: true,
	}}
	engine, err := flags.engine(t.Context(), &stderr)
	if err != nil {
		t.Fatalf("%s: %v", m.Policy, err)
	}
	return &measuring{engine, strings.Contains(stderr.String(), "deprecated value")}
}

func (m *measuring) judge(t *testing.T, image string) (string, rego.Decision, error) {
	t.Helper()
	review, err := reviews.Pod([]string{image})
	if err != nil {
		t.Fatal(err)
	}
	decision, err := m.engine.Decide(t.Context(), review)
	switch {
	case err != nil:
		return "", decision, err
	case !decision.Allowed:
		return "deny", decision, nil
	case len(decision.Warnings) > 0, m.warned:
		return "allow with warning", decision, nil
	}
	return "allow", decision, nil
}

// digestOf is the digest of the image of a layout.
func digestOf(t *testing.T, data, image string) string {
	t.Helper()
	dir, ok := (&layouts{root: filepath.Join(data, "images")}).layout(image)
	if !ok {
		t.Fatalf("no layout %s", image)
	}
	var layout struct{ Manifests []descriptor }
	if err := readJSON(filepath.Join(dir, "index.json"), &layout); err != nil {
		t.Fatal(err)
	}
	return subjectOf(layout.Manifests)
}

// subjectOf is the digest that a layout is about: that of the image itself, or what
// a signature tag is named after.
func subjectOf(entries []descriptor) string {
	for _, d := range entries {
		if strings.HasPrefix(d.Annotations["kind"], "dev.cosignproject.cosign/image") {
			return d.Digest
		}
	}
	for _, d := range entries {
		if tag := d.Annotations["org.opencontainers.image.ref.name"]; strings.HasPrefix(tag, "sha256-") {
			return "sha256:" + strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(tag, ".sig"), ".att"), "sha256-")
		}
	}
	return ""
}

// documented is an image that policy-controller was asked about without a registry.
const documented = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// catalogued is one row of policies/catalog/expected.json: what the tests of the
// catalogue want of a policy and a resource, and what policy-controller said
// where it could be asked offline.
type catalogued struct {
	Name, Policy, Resource, Image              string
	ExpectNoErrors, ExpectNoWarnings           bool
	ExpectWarningContains, ExpectErrorContains []string
	MeasuredOffline                            string
	MeasuredWarnings, MeasuredErrors           []string
}

// TestConformanceCatalog judges the good and the bad resources of the catalogue
// that can be judged without its images. Texts are wanted to the last letter, up
// to our code behind them.
func TestConformanceCatalog(t *testing.T) {
	data := filepath.Join(conformanceData(t), "policies", "catalog")
	var cases []catalogued
	if err := readJSON(filepath.Join(data, "expected.json"), &cases); err != nil {
		t.Fatal(err)
	}
	right, said := 0, 0
	for _, c := range cases {
		if c.MeasuredOffline == "" {
			continue
		}
		said++
		args := []string{
			"verify", "-o", "json", "--policy", filepath.Join(data, c.Policy), "--timeout", "10s",
			"--trusted-root", filepath.Join(conformanceData(t), "trust", "public-good", "trusted_root.json"),
		}
		if c.Resource != "" {
			args = append(args, "--resource", filepath.Join(data, c.Resource))
		}
		var stdout, stderr bytes.Buffer
		image := c.Image
		if !strings.Contains(image, "@") {
			image += documented
		}
		code := run(t.Context(), append(args, image), &stdout, &stderr)
		var decision rego.Decision
		if err := json.Unmarshal(stdout.Bytes(), &decision); err != nil {
			t.Errorf("%s %s: exit code %d: %s", c.Policy, c.Name, code, stderr.String())
			continue
		}
		if problem := c.compare(decision); problem != "" {
			t.Errorf("%s %s: %s\n  got %q %q\n  measured %q %q", c.Policy, c.Name, problem,
				decision.Reasons, decision.Warnings, c.MeasuredErrors, c.MeasuredWarnings)
			continue
		}
		right++
	}
	t.Logf("catalogue: %d of %d right; %d of %d want images of the internet", right, said, len(cases)-said, len(cases))
}

// compare says what is wrong with a decision, nothing when it is as wanted.
func (c catalogued) compare(decision rego.Decision) string {
	denied, warned := strings.Join(decision.Reasons, "\n"), strings.Join(decision.Warnings, "\n")
	if c.MeasuredOffline != "agrees" { // what was measured counts, whatever the catalogue hoped for
		c.ExpectNoErrors, c.ExpectNoWarnings = len(c.MeasuredErrors) == 0, len(c.MeasuredWarnings) == 0
		c.ExpectWarningContains, c.ExpectErrorContains = nil, nil
	}
	switch {
	case c.ExpectNoErrors && (!decision.Allowed || denied != ""):
		return "got a denial, want none"
	case c.ExpectNoWarnings && warned != "":
		return "got a warning, want none"
	}
	for text, wanted := range map[string][]string{
		denied: slices.Concat(c.ExpectErrorContains, c.MeasuredErrors),
		warned: slices.Concat(c.ExpectWarningContains, c.MeasuredWarnings),
	} {
		for _, want := range wanted {
			if want = strings.TrimSuffix(want, ": "); !strings.Contains(text, want) {
				return fmt.Sprintf("got %q, want %q in it", text, want)
			}
		}
	}
	return ""
}

// samePrefix compares the texts of a denial or a warning up to the last prefix
// that is policy-controller's own: "… for authority A for R: ".
func samePrefix(decision rego.Decision, m measured, host string) (string, bool) {
	for _, want := range append(m.Errors, m.Warnings...) {
		want = strings.ReplaceAll(strings.TrimSuffix(want, ": "), "REGISTRY", host)
		// Of several children that cannot be had upstream tells one, whichever came
		// first; we tell them all.
		want = strings.TrimPrefix(want, "failed to get a ConfigFile: [")
		// What follows the name of the image is a library's text; a policy's comes
		// whole, and advice about a policy is given when it is read.
		if i := strings.Index(want, "@sha256:"); i >= 0 {
			want = want[:i+len("@sha256:")+64+len(": ")]
		} else if strings.HasPrefix(want, "policy 0: ") {
			continue
		}
		text := strings.Join(append(decision.Reasons, decision.Warnings...), "\n")
		if !strings.Contains(text, want) {
			return text, false
		}
	}
	return "", true
}

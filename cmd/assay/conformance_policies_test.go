package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/rego"
)

// measured is one row of policies/measured/expected.json: what policy-controller
// said of an image.
type measured struct {
	Policy, Image, TrustRoot, Verdict string
	Errors, Warnings                  []string
}

// TestConformancePolicies gives the measured policies to `assay verify`. Those
// with inline policies are refused by name of the field until they are enforced.
func TestConformancePolicies(t *testing.T) {
	data := conformanceData(t)
	var expected struct{ Verdicts []measured }
	if err := readJSON(filepath.Join(data, "policies", "measured", "expected.json"), &expected); err != nil {
		t.Fatal(err)
	}
	host, _ := serveLayouts(t, filepath.Join(data, "images"))
	right, said, later := 0, 0, map[string]bool{}
	for _, m := range expected.Verdicts {
		got, decision, err := judge(t, data, host, m)
		if err != nil {
			if !strings.Contains(err.Error(), "policy: not supported yet") {
				t.Errorf("%s %s: %v", m.Policy, m.Image, err)
			}
			later[m.Policy] = true
			continue
		}
		said++
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
	t.Logf("policies: %d of %d right, %d policies with inline policy are for later", right, said, len(later))
}

func judge(t *testing.T, data, host string, m measured) (string, rego.Decision, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	var layout struct{ Manifests []descriptor }
	dir, ok := (&layouts{root: filepath.Join(data, "images")}).layout(m.Image)
	if !ok {
		t.Fatalf("no layout %s", m.Image)
	}
	if err := readJSON(filepath.Join(dir, "index.json"), &layout); err != nil {
		t.Fatal(err)
	}
	digest := subjectOf(layout.Manifests)
	code := run(t.Context(), []string{
		"verify", "-o", "json",
		"--policy", filepath.Join(data, "policies", "measured", m.Policy),
		"--trustroot", filepath.Join(data, "trust", "trustroots", m.TrustRoot+".yaml"),
		"--trusted-root", filepath.Join(data, "trust", "public-good", "trusted_root.json"),
		host + "/" + m.Image + "@" + digest,
	}, &stdout, &stderr)
	var decision rego.Decision
	if code == exitUndecided {
		return "", decision, errors.New(stderr.String())
	}
	if err := json.Unmarshal(stdout.Bytes(), &decision); err != nil {
		t.Fatal(err)
	}
	switch {
	case code == exitDenied:
		return "deny", decision, nil
	case len(decision.Warnings) > 0:
		return "allow with warning", decision, nil
	}
	return "allow", decision, nil
}

// subjectOf is the digest of the image of a layout: the image itself, or what a
// signature tag is named after.
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

// samePrefix compares the texts of a denial or a warning up to the last prefix
// that is policy-controller's own: "… for authority A for R: ".
func samePrefix(decision rego.Decision, m measured, host string) (string, bool) {
	for _, want := range append(m.Errors, m.Warnings...) {
		want = strings.ReplaceAll(strings.TrimSuffix(want, ": "), "REGISTRY", host)
		if i := strings.Index(want, "@sha256:"); i >= 0 {
			want = want[:i+len("@sha256:")+64+len(": ")]
		}
		text := strings.Join(append(decision.Reasons, decision.Warnings...), "\n")
		if !strings.Contains(text, want) {
			return text, false
		}
	}
	return "", true
}

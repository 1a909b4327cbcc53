package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/reviews"
	"github.com/assay-dev/assay/cmd/assay/wiring"
)

// imageCase is one row of images/expected.json: what cosign was asked, and what
// it said.
type imageCase struct {
	Image, Digest, Command, Case, Verdict string
	Args                                  []string
	TrustedRoot                           string
	Error                                 string
}

func (c imageCase) flag(name string) string {
	if i := slices.Index(c.Args, name); i >= 0 && i+1 < len(c.Args) {
		return c.Args[i+1]
	}
	return ""
}

func (c imageCase) has(name string) bool { return slices.Contains(c.Args, name) }

// TestConformanceImages gives every measured case that a ClusterImagePolicy can
// say to `assay verify` and to the webhook, and wants cosign's verdict of both.
func TestConformanceImages(t *testing.T) {
	data := conformanceData(t)
	var cases []imageCase
	if err := readJSON(filepath.Join(data, "images", "expected.json"), &cases); err != nil {
		t.Fatal(err)
	}
	strays := trapStrays(t)
	host, registry := serveLayouts(t, filepath.Join(data, "images"))
	right, said := 0, 0
	for _, c := range cases {
		policy, ok := policyOf(t, data, c)
		if !ok {
			continue
		}
		said++
		flags := wiring.Flags{Policies: []string{filepath.Join(t.TempDir(), "policy.yaml")}, TUF: wiring.TUFFlags{Cache: t.TempDir()}}
		if strings.HasSuffix(c.TrustedRoot, ".json") { // PEM files go with flags that a policy cannot say
			flags.TrustedRoot = filepath.Join(data, c.TrustedRoot)
		}
		if err := os.WriteFile(flags.Policies[0], []byte(policy), 0o600); err != nil {
			t.Fatal(err)
		}
		image := host + "/" + c.Image + "@" + c.Digest
		got, output := verdictOf(t, flags, image)
		webhook, answer := webhookVerdict(t, flags, image)
		if got == c.Verdict && webhook == c.Verdict {
			right++
			continue
		}
		t.Errorf("%s %s %s\n  root %s args %v\n  verify %s, webhook %s, want %s (%s)\n%s\n%s",
			c.Image, c.Command, c.Case, c.TrustedRoot, c.Args, got, webhook, c.Verdict, c.Error, output, answer)
	}
	if n := strays.Load(); n != 0 {
		t.Errorf("requests to anything but the registry: got %d, want 0", n)
	}
	t.Logf("images: %d of %d right; %d of %d cannot be said as a ClusterImagePolicy; %d requests, all to the registry",
		right, said, len(cases)-said, len(cases), len(registry.requests))
}

// trapStrays counts every connection of this process that is not to loopback:
// a resolver and a proxy of ours stand where the network would be.
func trapStrays(t *testing.T) *atomic.Int64 {
	t.Helper()
	var strays atomic.Int64
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trap.Close() })
	go func() {
		for {
			connection, err := trap.Accept()
			if err != nil {
				return
			}
			strays.Add(1)
			_ = connection.Close()
		}
	}()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY"} {
		t.Setenv(name, "http://"+trap.Addr().String())
	}
	resolver := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		strays.Add(1)
		return nil, errors.New("a name was looked up")
	}}
	t.Cleanup(func() { net.DefaultResolver = resolver })
	return &strays
}

// webhookVerdict asks the webhook about a Pod that runs the image.
func webhookVerdict(t *testing.T, flags wiring.Flags, image string) (verdict, answer string) {
	t.Helper()
	review, err := reviews.Pod([]string{image})
	if err != nil {
		t.Fatal(err)
	}
	_, body := post(t, startWebhook(t, flags)+"/validate", review)
	var response struct{ Response struct{ Allowed bool } }
	if err := json.Unmarshal(body, &response); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if response.Response.Allowed {
		return "PASS", string(body)
	}
	return "FAIL", string(body)
}

func verdictOf(t *testing.T, flags wiring.Flags, image string) (verdict, output string) {
	t.Helper()
	args := []string{"verify", "--policy", flags.Policies[0], "--tuf-cache", flags.TUF.Cache}
	if flags.TrustedRoot != "" {
		args = append(args, "--trusted-root", flags.TrustedRoot)
	}
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append(args, image), &stdout, &stderr)
	output = stdout.String() + stderr.String()
	switch code {
	case exitAdmitted:
		return "PASS", output
	case exitDenied:
		return "FAIL", output
	}
	return fmt.Sprintf("exit %d", code), output
}

// policyOf says a case as a ClusterImagePolicy, where one can.
func policyOf(t *testing.T, data string, c imageCase) (string, bool) {
	t.Helper()
	for _, arg := range c.Args {
		if strings.HasPrefix(arg, "--certificate-github-workflow") || strings.HasPrefix(arg, "--ca-") ||
			arg == "--timestamp-certificate-chain" || arg == "-a" {
			return "", false
		}
	}
	authority := map[string]any{}
	if key := c.flag("--key"); key != "" {
		pem, err := os.ReadFile(filepath.Join(data, key))
		if err != nil {
			t.Fatal(err)
		}
		authority["key"] = map[string]any{"data": string(pem)}
		if !c.has("--insecure-ignore-tlog") {
			authority["ctlog"] = map[string]any{"url": "https://rekor.sigstore.dev"}
		}
	} else {
		if c.has("--insecure-ignore-tlog") {
			return "", false
		}
		authority["keyless"] = map[string]any{
			"url":               "https://fulcio.sigstore.dev",
			"insecureIgnoreSCT": c.has("--insecure-ignore-sct"),
			"identities": []any{without(map[string]any{
				"issuer": c.flag("--certificate-oidc-issuer"), "issuerRegExp": c.flag("--certificate-oidc-issuer-regexp"),
				"subject": c.flag("--certificate-identity"), "subjectRegExp": c.flag("--certificate-identity-regexp"),
			})},
		}
	}
	if predicate := c.flag("--type"); predicate != "" {
		authority["attestations"] = []any{map[string]any{"name": "wanted", "predicateType": predicate}}
	}
	if bundled(c.Image) {
		authority["signatureFormat"] = "bundle"
	}
	encoded, err := json.Marshal(map[string]any{
		"apiVersion": "policy.sigstore.dev/v1beta1", "kind": "ClusterImagePolicy",
		"metadata": map[string]any{"name": "case"},
		"spec":     map[string]any{"images": []any{map[string]any{"glob": "**"}}, "authorities": []any{authority}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded), true
}

func without(m map[string]any) map[string]any {
	for key, value := range m {
		if value == "" {
			delete(m, key)
		}
	}
	return m
}

func bundled(layout string) bool {
	return strings.Contains(layout, "referrer-") || strings.Contains(layout, "bundles")
}

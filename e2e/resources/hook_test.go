package resources_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/kube/hook"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/compile"
	"github.com/assay-dev/assay/rego/inline"
	"github.com/assay-dev/assay/server/admission"
)

// webhooks has the names of policy-controller's, which users know.
const webhooks = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: validating.clusterimagepolicy.sigstore.dev}
webhooks:
- name: validating.clusterimagepolicy.sigstore.dev
  clientConfig: {url: %[1]s/validate, caBundle: %[2]s}
  rules: [{apiGroups: [policy.sigstore.dev], apiVersions: [v1alpha1, v1beta1], operations: [CREATE, UPDATE, DELETE],
    resources: [clusterimagepolicies, clusterimagepolicies/status, trustroots, trustroots/status]}]
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: defaulting.clusterimagepolicy.sigstore.dev}
webhooks:
- name: defaulting.clusterimagepolicy.sigstore.dev
  clientConfig: {url: %[1]s/default, caBundle: %[2]s}
  rules: [{apiGroups: [policy.sigstore.dev], apiVersions: [v1alpha1, v1beta1], operations: [CREATE, UPDATE], resources: [clusterimagepolicies, trustroots]}]
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
`

// compiler compiles the Rego of policies.
type compiler struct{}

func (compiler) Check(ctx context.Context, p cip.Policy) (problems, warnings []string) {
	for _, source := range compile.Sources(p) {
		if source.Text == "" {
			continue
		}
		if _, err := inline.Compile(ctx, source.Package, source.Text); err != nil {
			problems = append(problems, source.Field+": "+err.Error())
		}
	}
	return problems, warnings
}

// judged serves the webhooks and registers them.
func judged(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	client, err := kube.Connect(c.Kubeconfig, "assay", "e2e")
	if err != nil {
		t.Fatal(err)
	}
	j := hook.Judge{Settings: cip.Settings{Namespace: client.Namespace}, Compiler: compiler{}, Finder: hook.Live{Client: client}}
	certificate, key, err := c.Authority.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := answer(r.Context(), j, r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	text := fmt.Sprintf(webhooks, server.URL, base64.StdEncoding.EncodeToString(c.Authority.PEM))
	if _, err := c.TryKubectl(t, text, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
}

func answer(ctx context.Context, j hook.Judge, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	review, err := admission.Decode(body)
	if err != nil {
		return nil, err
	}
	request, err := hook.Read(body)
	if err != nil {
		return nil, err
	}
	phase, verdict := admission.Validation, hook.Verdict{}
	switch r.URL.Path {
	case "/validate":
		verdict = j.Validate(ctx, request)
	case "/default":
		phase, verdict = admission.Mutation, j.Default(request)
	default:
		return nil, errors.New("no such path")
	}
	out := admission.Verdict{Allowed: verdict.Allowed, Reasons: verdict.Reasons, Warnings: verdict.Warnings}
	for _, operation := range verdict.Patch {
		out.Patch = append(out.Patch, admission.PatchOperation{Op: operation.Op, Path: operation.Path, Value: operation.Value})
	}
	return admission.Respond(review, phase, out)
}

// TestJudgedAsApplied has what users see of the hook, through a real API server.
func TestJudgedAsApplied(t *testing.T) {
	t.Parallel()
	c := start(t, definitions)
	// What was stored before anybody judged: policy-controller takes it.
	const old = `{apiVersion: policy.sigstore.dev/v1alpha1, kind: ClusterImagePolicy, metadata: {name: old, finalizers: [clusterimagepolicies.policy.sigstore.dev]},
  spec: {images: [{glob: "**"}], authorities: [{static: {action: pass}}], policy: {type: rego, data: "package sigstore\n\nisCompliant {"}}}`
	if _, err := c.TryKubectl(t, old, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	judged(t, c)
	policy := func(spec string) string {
		return `{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {generateName: p-}, spec: ` + spec + `}`
	}
	const denied = `admission webhook "validating.clusterimagepolicy.sigstore.dev" denied the request: validation failed: `
	for _, tt := range []struct{ name, object, want string }{
		{"VAL-1", policy(`{}`), denied + "missing field(s): spec.authorities, spec.images"},
		{"VAL-4", policy(`{images: [{glob: "**"}], authorities: [{}]}`), denied + "expected exactly one, got neither: spec.authorities[0].key, spec.authorities[0].keyless, spec.authorities[0].static"},
		{"VAL-12", policy(`{images: [{glob: "**"}], authorities: [{keyless: {url: "https://f"}}]}`), denied + "missing field(s): spec.authorities[0].keyless.identities"},
		{"VAL-19", policy(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}], mode: garbage}`), denied + "invalid value: garbage: spec.mode\nunsupported mode"},
		{"Rego", policy(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}], policy: {type: rego, data: "package sigstore\n\nisCompliant {"}}`), "policy.rego:3: rego_parse_error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.TryKubectl(t, tt.object, "create", "-f", "-")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("defaults are written", func(t *testing.T) {
		object := policy(`{images: [{glob: "**"}], authorities: [{keyless: {identities: [{issuer: i, subject: s}]}}]}`)
		got, err := c.TryKubectl(t, object, "create", "-f", "-", "-o", "jsonpath={.spec.mode} {.spec.authorities[0].name} {.spec.authorities[0].keyless.url}")
		if want := "enforce authority-0 https://fulcio.sigstore.dev"; err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
	t.Run("references that lead nowhere are warnings", func(t *testing.T) {
		object := policy(`{images: [{glob: "**"}], authorities: [{key: {secretRef: {name: key, namespace: assay}}, ctlog: {trustRootRef: ours}}]}`)
		const noSecret = "spec.authorities[0].key.secretRef: there is no Secret key in namespace assay"
		const noRoot = "spec.authorities[0].ctlog.trustRootRef: there is no TrustRoot ours"
		create := func() string { // what kubectl says of the warnings
			_, err := c.TryKubectl(t, object, "create", "--dry-run=server", "--warnings-as-errors", "-f", "-")
			return fmt.Sprint(err)
		}
		if got := create(); !strings.Contains(got, noSecret) || !strings.Contains(got, noRoot) {
			t.Errorf("got %s, want %q and %q", got, noSecret, noRoot)
		}
		c.Kubectl(t, "create", "namespace", "assay")
		c.Kubectl(t, "create", "secret", "generic", "--namespace=assay", "key")
		if got := create(); strings.Contains(got, noSecret) || !strings.Contains(got, noRoot) {
			t.Errorf("got %s, want %q alone", got, noRoot)
		}
	})
	t.Run("what is stored and invalid can be labelled, freed and deleted", func(t *testing.T) {
		c.Kubectl(t, "label", "cip", "old", "team=a")
		c.Kubectl(t, "patch", "cip", "old", "--subresource=status", "--type=merge", "-p", `{"status": {"matchedImages": 1}}`)
		if _, err := c.TryKubectl(t, "", "patch", "cip", "old", "--type=merge", "-p", `{"spec": {"mode": "warn"}}`); err == nil {
			t.Error("got a changed spec admitted that does not compile, want it refused")
		}
		c.Kubectl(t, "delete", "cip", "old", "--wait=false")
		c.Kubectl(t, "patch", "cip", "old", "--type=json", "-p", `[{"op": "remove", "path": "/metadata/finalizers"}]`)
		if out, err := c.TryKubectl(t, "", "get", "cip", "old"); err == nil {
			t.Errorf("got %s, want it deleted", out)
		}
	})
}

package wiring

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assay-dev/assay/builtins/observe"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/world"
	"github.com/assay-dev/assay/world/worldtest"
)

// verifications counts how often evidence is verified.
type verifications struct{ atomic.Int64 }

// Begin implements [observe.Observer].
func (v *verifications) Begin(ctx context.Context, of observe.Work) (context.Context, observe.End) {
	if of.Stage == observe.Verify {
		v.Add(1)
	}
	return ctx, func(string) {}
}

const signedWorld = `
signers: {release: {issuer: "https://token.actions.githubusercontent.com", subject: "https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1"}}
images: {app: {signatures: [{signer: release}], attestations: [{signer: release, predicateType: "https://slsa.dev/provenance/v1"}]}}
`

// policyOf is a policy about all images, signed by one of acme's workflows.
func policyOf(name, workflows, keyless, authority string) string {
	return fmt.Sprintf(`{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {name: %s}, spec: {images: [{glob: "**"}], authorities: [{name: release,
		keyless: {%s identities: [{issuer: "https://token.actions.githubusercontent.com", subjectRegExp: "https://github.com/acme/%s/.*"}]}%s}]}}
`, name, keyless, workflows, authority)
}

func pullSecretOf(user string) string {
	config := base64.StdEncoding.EncodeToString([]byte(`{"auths": {"*.0.0.1:*": {"auth": "` + base64.StdEncoding.EncodeToString([]byte(user)) + `"}}}`))
	return `{apiVersion: v1, kind: Secret, type: kubernetes.io/dockerconfigjson, metadata: {name: pull, namespace: shop}, data: {.dockerconfigjson: ` + config + "}}\n"
}

// installation is a wiring of files, whose policies an engine follows.
type installation struct {
	*Wiring
	dir      string
	engine   *rego.Engine
	verified verifications
}

// install begins with files in the directory of policies.
func install(t *testing.T, w *world.World, files map[string]string) *installation {
	t.Helper()
	i := &installation{dir: t.TempDir()}
	root, err := w.TrustedRoot()
	if err != nil {
		t.Fatal(err)
	}
	flags := Defaults()
	flags.Policies, flags.TrustedRoot, flags.PrivateRegistries = []string{i.dir}, filepath.Join(t.TempDir(), "root.json"), true
	if err := os.WriteFile(flags.TrustedRoot, root, 0o600); err != nil {
		t.Fatal(err)
	}
	if i.Wiring, err = New(flags, "deny", time.Minute); err != nil {
		t.Fatal(err)
	}
	i.Watched.Observer = &i.verified
	i.load(t, files)
	return i
}

// load writes files, removes those without a text, and has the policies of all serve.
func (i *installation) load(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		err := os.WriteFile(filepath.Join(i.dir, name), []byte(text), 0o600)
		if text == "" {
			err = os.Remove(filepath.Join(i.dir, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	documents, err := i.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set, err := i.Compile(t.Context(), documents)
	if err != nil {
		t.Fatal(err)
	}
	i.Took(documents)
	if i.engine == nil {
		i.engine = rego.NewEngine(set, nil)
	}
	i.engine.Swap(set)
}

// decide says what becomes of a Pod with the image, and how often evidence was verified for that.
func (i *installation) decide(t *testing.T, image string) (allowed bool, verified int64) {
	t.Helper()
	review := fmt.Sprintf(`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "operation": "CREATE",
		"kind": {"group": "", "version": "v1", "kind": "Pod"}, "resource": {"group": "", "version": "v1", "resource": "pods"}, "namespace": "shop",
		"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "till", "namespace": "shop"}, "spec": {"containers": [{"name": "app", "image": %q}]}}}}`, image)
	before := i.verified.Load()
	decision, err := i.engine.Decide(t.Context(), []byte(review))
	if err != nil {
		t.Fatal(err)
	}
	return decision.Allowed, i.verified.Load() - before
}

// TestChangeOfPolicies: what is known of an image by digest is asked of no registry and verified
// once, whatever other policies come and go; and what it depends on has it verified anew.
func TestChangeOfPolicies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file string
		text       func(stranger *world.World) string
		allowed    bool
		requests   bool
		verified   int64
	}{
		{"another policy, of other images", "other.yaml", func(*world.World) string {
			return strings.Replace(policyOf("other", "other", "", ""), `"**"`, `"other.io/**"`, 1)
		}, true, false, 0},
		{"a policy of a namespace", "other.yaml", func(*world.World) string {
			return strings.NewReplacer("policy.sigstore.dev/v1beta1", "policy.assay.dev/v1alpha1", "ClusterImagePolicy", "ImagePolicy", "{name: own}", "{name: own, namespace: shop}").
				Replace(policyOf("own", "app", "", ""))
		}, true, false, 0},
		{"another policy, of the same authority", "other.yaml", func(*world.World) string { return policyOf("other", "app", "", "") }, true, false, 0},
		{"a policy that is gone", "attested.yaml", func(*world.World) string { return "" }, true, false, 0},
		{"another policy, of another identity", "other.yaml", func(*world.World) string { return policyOf("other", "[a-z]+", "", "") }, true, false, 1},
		{"an identity that is another", "signed.yaml", func(*world.World) string { return policyOf("signed", "other", "", "") }, false, false, 1},
		{"a trust root that is another", "root.yaml", func(stranger *world.World) string { return string(stranger.TrustRoot("own")) }, false, false, 1},
		{"a trust root that is gone", "root.yaml", func(*world.World) string { return "" }, false, false, 0},
		{"a Secret that is another", "secret.yaml", func(*world.World) string { return pullSecretOf("mallory:s3cret") }, true, true, 1},
		{"a Secret that is gone", "secret.yaml", func(*world.World) string { return "" }, true, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, stranger := worldtest.Open(t, signedWorld), worldtest.Open(t, signedWorld)
			image, began := w.Expand("${app@}"), time.Now()
			i := install(t, w, map[string]string{
				"signed.yaml":   policyOf("signed", "app", "", ""),
				"attested.yaml": policyOf("attested", "app", "", `, attestations: [{name: slsa, predicateType: "https://slsa.dev/provenance/v1"}]`),
				"rooted.yaml":   policyOf("rooted", "app", "trustRootRef: own,", ", ctlog: {trustRootRef: own}"),
				"sourced.yaml":  policyOf("sourced", "app", "", w.Expand(`, source: [{oci: "${registry}/app", signaturePullSecrets: [{name: pull}]}]`)),
				"root.yaml":     string(w.TrustRoot("own")),
				"secret.yaml":   pullSecretOf("alice:s3cret"),
			})
			if allowed, verified := i.decide(t, image); !allowed || verified != 4 || len(w.Requests()) == 0 {
				t.Fatalf("at first: got allowed %t and %d verifications, want true and 4", allowed, verified)
			}
			w.ResetRequests()
			i.load(t, map[string]string{tt.file: tt.text(stranger)})
			allowed, verified := i.decide(t, image)
			if allowed != tt.allowed || verified != tt.verified {
				t.Errorf("got allowed %t and %d verifications, want %t and %d", allowed, verified, tt.allowed, tt.verified)
			}
			// Lists of signatures are read again after ten seconds, whatever policies there are.
			if requests := w.Requests(); (len(requests) > 0) != tt.requests && time.Since(began) < 10*time.Second {
				t.Errorf("got requests %q, want some %t", requests, tt.requests)
			}
		})
	}
}

// Package resources_test holds the definitions of the resources to a real API server: it
// accepts them, also in the place of policy-controller's, and takes and keeps what they say.
package resources_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assay-dev/assay/e2e/cluster"
)

const (
	definitions = "../../deploy/crds"
	plural      = "clusterimagepolicies.policy.sigstore.dev"
)

// start runs a cluster with the definitions of a file.
func start(t *testing.T, file string) *cluster.Cluster {
	t.Helper()
	c := cluster.Start(t, cluster.Options{})
	apply(t, c, "-f", file)
	return c
}

func apply(t *testing.T, c *cluster.Cluster, args ...string) {
	t.Helper()
	c.Kubectl(t, append([]string{"apply"}, args...)...)
	c.Kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd", plural, "trustroots.policy.sigstore.dev")
}

// TestDefinitionsOfPolicyControllerAreReplaced has objects that are stored, the ways in
// which a definition can have been written, and those in which ours comes.
func TestDefinitionsOfPolicyControllerAreReplaced(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	for _, tt := range []struct {
		name string
		// before writes policy-controller's, now ours.
		before, now []string
		// severed says that the conversion is taken away first, as docs/cluster.md has it.
		severed bool
	}{
		{"kubectl apply, twice", []string{"apply"}, []string{"apply"}, false},
		{"kubectl apply over what was created", []string{"create"}, []string{"apply"}, false},
		{"kubectl replace", []string{"create"}, []string{"replace"}, false},
		{"on the server, over what was created", []string{"create"}, []string{"apply", "--server-side", "--force-conflicts"}, true},
		{"on the server, over what kubectl applied", []string{"apply"}, []string{"apply", "--server-side", "--force-conflicts"}, true},
		{"on the server, over what Helm applied", []string{"apply", "--server-side", "--field-manager=helm"}, []string{"apply", "--server-side", "--force-conflicts"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c.Kubectl(t, append(tt.before, "-f", "testdata/policy-controller.yaml")...)
			c.Kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd", plural)
			// policy-controller writes its certificate authority there itself.
			c.Kubectl(t, "patch", "crd", plural, "--type=merge", "--field-manager=webhook", "-p",
				fmt.Sprintf(`{"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": %q}}}}}`, base64.StdEncoding.EncodeToString(c.Authority.PEM)))
			c.Kubectl(t, "create", "-f", "testdata/stored.yaml")
			c.Kubectl(t, "replace", "--subresource=status", "-f", "testdata/stored.yaml")
			before := stored(t, c, "v1alpha1")

			if tt.severed {
				c.Kubectl(t, "patch", "crd", plural, "--type=json", "-p", `[{"op": "replace", "path": "/spec/conversion", "value": {"strategy": "None"}}]`)
			}
			if tt.now[0] == "replace" { // which creates none
				c.Kubectl(t, "create", "-f", definitions+"/imagepolicies.policy.assay.dev.yaml", "-f", definitions+"/regopolicies.policy.assay.dev.yaml", "-f", definitions+"/workloadpaths.policy.assay.dev.yaml")
			}
			c.Kubectl(t, append(tt.now, "-f", definitions)...)
			if got := c.Kubectl(t, "get", "crd", plural, "-o", "jsonpath={.spec.conversion}"); got != `{"strategy":"None"}` {
				t.Errorf("conversion: got %s, want None alone", got)
			}
			for _, version := range []string{"v1alpha1", "v1beta1"} {
				if got := stored(t, c, version); got != before {
					t.Errorf("%s: got\n%s\nwant\n%s", version, got, before)
				}
			}
			c.Kubectl(t, "diff", "-f", definitions) // which fails where there is one
			// Whose finalizer it is, is gone with policy-controller.
			c.Kubectl(t, "patch", "cip", "stored", "--type=json", "-p", `[{"op": "remove", "path": "/metadata/finalizers"}]`)
			c.Kubectl(t, "delete", "cip", "stored", "--timeout=60s")
			c.Kubectl(t, "delete", "-f", definitions, "--timeout=5m") // an API server looks again after a minute where it was busy
		})
	}
}

// TestStoredBeyondTheBounds has a policy that policy-controller took and our bounds do not:
// what is not its spec can change.
func TestStoredBeyondTheBounds(t *testing.T) {
	t.Parallel()
	c := start(t, "testdata/policy-controller.yaml")
	c.Kubectl(t, "patch", "crd", plural, "--type=json", "-p", `[{"op": "replace", "path": "/spec/conversion", "value": {"strategy": "None"}}]`)
	object := `{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "large", "finalizers": ["example.com/f"]},
  "spec": {"images": [` + strings.TrimSuffix(strings.Repeat(`{"glob": "a"},`, 10_001), ",") + `]}}`
	if _, err := c.TryKubectl(t, object, "create", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	apply(t, c, "-f", definitions)
	c.Kubectl(t, "label", "cip", "large", "team=a")
	c.Kubectl(t, "patch", "cip", "large", "--subresource=status", "--type=merge", "-p", `{"status": {"matchedImages": 1}}`)
	if _, err := c.TryKubectl(t, "", "patch", "cip", "large", "--type=json", "-p", `[{"op": "add", "path": "/spec/images/-", "value": {"glob": "b"}}]`); err == nil {
		t.Error("got one more image admitted, want it refused")
	}
	c.Kubectl(t, "patch", "cip", "large", "--type=json", "-p", `[{"op": "remove", "path": "/metadata/finalizers"}]`)
	c.Kubectl(t, "delete", "cip", "large", "--timeout=60s")
}

// stored is what people wrote and policy-controller answered.
func stored(t *testing.T, c *cluster.Cluster, version string) string {
	t.Helper()
	var object struct {
		Spec, Status any
	}
	text := c.Kubectl(t, "get", "clusterimagepolicies."+version+".policy.sigstore.dev", "stored", "-o", "json")
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	out, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestSchemas has what the API server says before it asks a webhook, and what it leaves to
// one.
func TestSchemas(t *testing.T) {
	t.Parallel()
	c := start(t, definitions)
	policy := func(spec string) string {
		return `{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "ClusterImagePolicy", "metadata": {"name": "p"}, "spec": ` + spec + `}`
	}
	root := func(spec string) string {
		return `{"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "r"}, "spec": ` + spec + `}`
	}
	const wholly = `{"root": "e30=", "mirror": "https://a.b"}`
	globs := strings.TrimSuffix(strings.Repeat(`{"glob": "a"},`, 10_001), ",")
	for _, tt := range []struct{ name, object, want string }{
		{"what a webhook says is admitted", policy(`{"mode": "garbage", "images": [{}], "authorities": [{"key": {}, "static": {"action": "maybe"}}]}`), ""},
		{"nothing at all", policy(`{}`), ""},
		{"a number for a text", policy(`{"mode": 1}`), "spec.mode: Invalid value"},
		{"a field that there is not", policy(`{"tlog": {}}`), `unknown field "spec.tlog"`},
		{"more images than a policy may have", policy(`{"images": [` + globs + `]}`), "spec.images: Too many"},
		{"a root of one kind", root(`{"remote": ` + wholly + `}`), ""},
		{"a root that is none (TR-7)", root(`{}`), "expected exactly one, got neither: spec.remote, spec.repository, spec.sigstoreKeys"},
		{"a root of two kinds", root(`{"remote": ` + wholly + `, "repository": {}}`), "expected exactly one, got both: spec.remote, spec.repository, spec.sigstoreKeys"},
		{"a root of one kind with an empty one", root(`{"remote": ` + wholly + `, "sigstoreKeys": {}}`), "expected exactly one, got both"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.TryKubectl(t, tt.object, "create", "--dry-run=server", "-f", "-")
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %.2000v, want %q", err, tt.want)
			}
		})
	}
}

// TestWhatPeopleSee has the columns, the short name, the category and the explanations.
func TestWhatPeopleSee(t *testing.T) {
	t.Parallel()
	c := start(t, definitions)
	c.Kubectl(t, "create", "-f", "testdata/stored.yaml")
	c.Kubectl(t, "patch", "cip", "stored", "--subresource=status", "--type=merge", "-p",
		`{"status": {"matchedImages": 7, "conditions": [{"type": "Ready", "status": "False", "message": "no such key"}]}}`)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"get", "cip", "stored"}, "NAME MODE READY IMAGES AGE stored enforce False 7"},
		{[]string{"get", "cip", "stored", "-o", "wide"}, "no such key"},
		{[]string{"get", "sigstore"}, "clusterimagepolicy.policy.sigstore.dev/stored"},
		{[]string{"explain", "cip.spec.images"}, "images are patterns of image names."},
		{[]string{"explain", "trustroot.spec.remote.mirror"}, "mirror is where the repository is. Required."},
	} {
		out := strings.Join(strings.Fields(c.Kubectl(t, tt.args...)), " ")
		if !strings.Contains(out, tt.want) {
			t.Errorf("kubectl %s: got %s, want %q", strings.Join(tt.args, " "), out, tt.want)
		}
	}
	c.Kubectl(t, "label", "cip", "stored", "team=a") // its status may be what it was
}

// TestConformanceOfDefinitions takes every real policy, valid or not: the schema drops
// nothing of the valid ones, and says of the others no more than upstream's does.
func TestConformanceOfDefinitions(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ASSAY_CONFORMANCE_DATA")
	if data == "" {
		t.Skip("ASSAY_CONFORMANCE_DATA is not set: it names the directory of the real policies")
	}
	c := start(t, definitions)
	for _, dir := range []string{"valid", "invalid"} {
		files, err := filepath.Glob(filepath.Join(data, "policies", dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("got %d files, %v", len(files), err)
		}
		for _, file := range files {
			t.Run(dir+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				out, err := c.TryKubectl(t, string(text), "create", "--dry-run=server", "--validate=strict", "-f", "-", "-o", "name")
				if err != nil {
					t.Errorf("got %v, %s, want it left to the webhook", err, out)
				}
			})
		}
	}
}

package hook_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/hook"
)

const root = `{apiVersion: policy.sigstore.dev/v1alpha1, kind: TrustRoot, metadata: {name: r}, spec: {remote: {root: eyJzaWduYXR1cmVzIjogW119, mirror: "https://a.b"}}}`

func TestDefaults(t *testing.T) {
	t.Parallel()
	add := func(path, value string) hook.Operation { return hook.Operation{Op: "add", Path: path, Value: value} }
	stored := policy(`{images: [{glob: "**"}], authorities: [{key: {secretRef: {name: s}}}]}`)
	for _, tt := range []struct {
		name, operation, object, old string
		want                         []hook.Operation
	}{
		{"mode and names", "CREATE", policy(`{images: [{glob: "**"}], authorities: [{static: {action: pass}}, {name: own, static: {action: fail}}, {key: {kms: "gcpkms://k"}}]}`), "null",
			[]hook.Operation{add("/spec/authorities/0/name", "authority-0"), add("/spec/authorities/2/name", "authority-2"), add("/spec/mode", "enforce")}},
		{"a Fulcio", "CREATE", policy(`{mode: warn, images: [{glob: "**"}], authorities: [{name: a, keyless: {identities: [{issuer: i, subject: s}]}}]}`), "null",
			[]hook.Operation{add("/spec/authorities/0/keyless/url", "https://fulcio.sigstore.dev")}},
		{"no Fulcio where there is one", "CREATE", policy(`{mode: warn, images: [{glob: "**"}], authorities: [{name: a, keyless: {url: "https://f", identities: [{issuer: i, subject: s}]}}]}`), "null", nil},
		{"no Fulcio beside a certificate", "CREATE", policy(`{mode: warn, images: [{glob: "**"}], authorities: [
  {name: a, keyless: {ca-cert: {secretRef: {name: s}}, identities: [{issuer: i, subject: s}]}}]}`), "null", nil},
		{"no null for identities that are absent (VAL-12)", "CREATE", policy(`{images: [{glob: "**"}], authorities: [{keyless: {}}]}`), "null", nil},
		{"empty texts", "CREATE", policy(`{mode: "", images: [{glob: "**"}], authorities: [{name: "", static: {action: pass}}]}`), "null",
			[]hook.Operation{add("/spec/authorities/0/name", "authority-0"), add("/spec/mode", "enforce")}},
		{"labels of any name", "CREATE", policy(`{mode: warn, images: [{glob: "**"}], match: [{group: apps, version: v1, resource: deployments, selector: {matchLabels: {"a/b~c": ""}}}],
  authorities: [{name: a, static: {action: pass}}]}`), "null", nil},
		{"a policy that is to be given its name", "CREATE", `{apiVersion: policy.sigstore.dev/v1beta1, kind: ClusterImagePolicy, metadata: {generateName: p-}, spec: ` + valid + `}`, "null",
			[]hook.Operation{add("/spec/authorities/0/name", "authority-0"), add("/spec/mode", "enforce")}},
		{"a TUF repository (TR-4)", "CREATE", root, "null",
			[]hook.Operation{add("/spec/remote/targets", "targets"), add("/spec/remote/trustedRootTarget", "trusted_root.json")}},
		{"what is stored without, and stays as it is", "UPDATE", stored, stored, nil},
		{"a changed spec", "UPDATE", stored, policy(valid), []hook.Operation{add("/spec/authorities/0/name", "authority-0"), add("/spec/mode", "enforce")}},
		{"what is invalid", "CREATE", policy(invalid), "null", nil},
		{"what is deleted", "DELETE", "null", stored, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := request(t, tt.operation, tt.object, tt.old)
			got := judge().Default(r)
			if diff := cmp.Diff(tt.want, got.Patch); diff != "" || !got.Allowed {
				t.Errorf("got %t (-want +got):\n%s", got.Allowed, diff)
			}
			if len(got.Patch) == 0 {
				return
			}
			r.Object = patched(t, r.Object, got.Patch)
			if again := judge().Default(r); len(again.Patch) > 0 {
				t.Errorf("got %+v after the patch, want nothing more", again.Patch)
			}
		})
	}
}

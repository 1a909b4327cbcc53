package cip_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// parsePolicy parses one policy that is valid.
func parsePolicy(t *testing.T, data []byte) cip.Policy {
	t.Helper()
	docs, err := cip.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(docs.Policies) != 1 {
		t.Fatalf("got %d policies, want one", len(docs.Policies))
	}
	return docs.Policies[0]
}

const (
	// whole sets every field of a policy that can be set beside the others.
	whole = `{images: [{glob: 'ghcr.io/**'}, {glob: '*'}], mode: warn,
match: [{group: apps, version: v1, resource: deployments, selector: {matchLabels: {a: b}, matchExpressions: [{key: c, operator: Exists}]}}],
policy: {type: cue, data: "a: 1", fetchConfigFile: true, includeSpec: true, includeObjectMeta: true, includeTypeMeta: true},
authorities: [
{name: k, key: {kms: "gcpkms://k", hashAlgorithm: sha512}, ctlog: {trustRootRef: own}, signatureFormat: bundle,
 source: [{oci: registry.example.com/a, tagPrefix: p, signaturePullSecrets: [{name: s}]}], rfc3161timestamp: {trustRootRef: own}},
{keyless: {url: 'https://fulcio.example.com', trustRootRef: own, insecureIgnoreSCT: true, identities: [{issuer: i, subjectRegExp: s}]},
 ctlog: {url: 'https://rekor.example.com'},
 attestations: [{name: a, predicateType: 'https://slsa.dev/provenance/v1', policy: {type: rego, configMapRef: {name: n, key: k}}}]},
{static: {action: fail, message: no}}]}`
	remote = `{images: [{glob: '**'}], authorities: [{static: {action: pass}}],
policy: {type: rego, remote: {url: 'https://example.com/p.rego', sha256sum: ab}}}`
)

// CRD-9: both versions mean the same. Unlike upstream, which converts one into the
// other and loses a ctlog that only names a TrustRoot on the way.
func TestBothVersionsMeanTheSame(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{whole, remote} {
		beta := withSpec(spec)
		got := parsePolicy(t, beta)
		alpha := parsePolicy(t, []byte(strings.Replace(string(beta), "v1beta1", "v1alpha1", 1)))
		if alpha.Version != "v1alpha1" || got.Version != "v1beta1" {
			t.Errorf("got versions %s and %s", alpha.Version, got.Version)
		}
		if diff := cmp.Diff(got.Spec, alpha.Spec); diff != "" {
			t.Errorf("spec (-v1beta1 +v1alpha1):\n%s", diff)
		}
	}
	log := parsePolicy(t, withSpec(whole)).Spec.Authorities[0].CTLog
	if diff := cmp.Diff(&cip.TLog{TrustRootRef: "own"}, log); diff != "" {
		t.Errorf("ctlog (-want +got):\n%s", diff)
	}
}

// CRD-8: what is not written is filled in, and nothing that is.
func TestDefaults(t *testing.T) {
	t.Parallel()
	const identities = "identities: [{issuer: i, subject: s}]"
	for _, tt := range []struct {
		name, authority string
		want            cip.Authority
	}{
		{"CRD-8: a name of its index", "{static: {action: pass}}", cip.Authority{Name: "authority-1", Static: &cip.StaticRef{Action: "pass"}}},
		{"CRD-8: no name where there is one", "{name: n, static: {action: pass}}", cip.Authority{Name: "n", Static: &cip.StaticRef{Action: "pass"}}},
		{"CRD-8: the URL of Fulcio", "{name: n, keyless: {" + identities + "}}", cip.Authority{Name: "n", Keyless: &cip.KeylessRef{
			URL: "https://fulcio.sigstore.dev", Identities: []cip.Identity{{Issuer: "i", Subject: "s"}}}}},
		{"CRD-8: no URL where there is one", "{name: n, keyless: {url: 'https://f', " + identities + "}}", cip.Authority{Name: "n", Keyless: &cip.KeylessRef{
			URL: "https://f", Identities: []cip.Identity{{Issuer: "i", Subject: "s"}}}}},
		{"CRD-8: no URL beside a key", "{name: n, key: {kms: 'gcpkms://k'}}", cip.Authority{Name: "n", Key: &cip.KeyRef{KMS: "gcpkms://k"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			policy := parsePolicy(t, withAuthority("{static: {action: pass}}, "+tt.authority))
			if diff := cmp.Diff(tt.want, policy.Spec.Authorities[1]); diff != "" {
				t.Errorf("authority (-want +got):\n%s", diff)
			}
			if policy.Spec.Mode != cip.ModeEnforce {
				t.Errorf("mode: got %s, want enforce", policy.Spec.Mode)
			}
		})
	}
}

// CRD-10: a field that no schema has is refused wherever it stands, with its path.
func TestUnknownFieldsAreRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, old, new, want string }{
		{"CRD-10: in the spec", "mode: warn", "mode: warn, modes: x", `json: unknown field "modes": spec.modes`},
		{"CRD-10: signatureFormat beside the authorities, as in some documents", "mode: warn", "mode: warn, signatureFormat: bundle",
			`json: unknown field "signatureFormat": spec.signatureFormat`},
		{"CRD-10: tlog for ctlog", "ctlog: {trustRootRef", "tlog: {trustRootRef", `json: unknown field "tlog": spec.authorities[0].tlog`},
		{"CRD-10: an image that is excluded", "{glob: '*'}", "{glob: '*', not: a}", `json: unknown field "not": spec.images[1].not`},
		{"CRD-10: within a policy", "includeSpec: true", "includespec: true", `json: unknown field "includespec": spec.policy.includespec`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := cip.Parse([]byte(strings.Replace(string(withSpec(whole)), tt.old, tt.new, 1)))
			if want := "document 0: ClusterImagePolicy p: unable to unmarshal: " + tt.want; err == nil || err.Error() != want {
				t.Errorf("got error %v, want %s", err, want)
			}
		})
	}
}

// VAL-21: what validation does not look at. Unlike upstream, a format that nobody
// knows is refused, and names that stand twice are warned of.
func TestWhatIsNotValidated(t *testing.T) {
	t.Parallel()
	const pass = "authorities: [{static: {action: pass}}]"
	for _, tt := range []struct{ name, spec, refused, warned string }{
		{"VAL-21: CUE that does not compile", "{images: [{glob: a}], " + pass + ", policy: {type: cue, data: '{{{'}}", "", ""},
		{"VAL-21: Rego that does not compile", "{images: [{glob: a}], " + pass + ", policy: {type: rego, data: 'package'}}", "", ""},
		{"VAL-21: a glob with a tag, which no digest has", "{images: [{glob: 'ghcr.io/a:v1'}], " + pass + "}", "", ""},
		{"VAL-21: a TrustRoot that may not exist", "{images: [{glob: a}], authorities: [{key: {kms: 'gcpkms://k'}, ctlog: {trustRootRef: gone}}]}", "", ""},
		{"VAL-21: a Secret that may not exist", "{images: [{glob: a}], authorities: [{key: {secretRef: {name: gone}}}]}", "", ""},
		{"VAL-21: group and version of a match", "{images: [{glob: a}], " + pass + ", match: [{group: x.y, version: v9, resource: pods}]}", "", ""},
		{"VAL-21: the URL of a log", "{images: [{glob: a}], authorities: [{key: {kms: 'gcpkms://k'}, ctlog: {url: 'gopher://log'}}]}", "", ""},
		{"VAL-21: signatureFormat", "{images: [{glob: a}], authorities: [{key: {kms: 'gcpkms://k'}, signatureFormat: bundel}]}",
			"only [legacy,bundle,any] are supported", ""},
		{"VAL-21: one name of two authorities", "{images: [{glob: a}], authorities: [{name: n, static: {action: pass}}, {name: n, static: {action: pass}}]}",
			"", "duplicate authority name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			docs, err := cip.Parse(withSpec(tt.spec))
			if tt.refused != "" {
				if err == nil || !strings.Contains(err.Error(), tt.refused) {
					t.Errorf("got error %v, want one with %q", err, tt.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(docs.Warnings, "\n"); !strings.Contains(got, tt.warned) {
				t.Errorf("got warnings %q, want %q", got, tt.warned)
			}
		})
	}
}

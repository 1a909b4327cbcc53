package cip_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// advised is a valid document and what is said of it, a line each.
type advised struct{ name, yaml, want string }

func checkAdvice(t *testing.T, rows []advised, path string, parse func(string) []byte) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			docs, err := cip.Parse(parse(row.yaml))
			if err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(row.want, "…", "policy p: "+path)
			if diff := cmp.Diff(want, strings.Join(docs.Warnings, "\n")); diff != "" {
				t.Errorf("warnings of %s (-want +got):\n%s", row.yaml, diff)
			}
		})
	}
}

func TestMatchThatMatchesNothingWarns(t *testing.T) {
	t.Parallel()
	const (
		noResource = `…: names no resource: it matches nothing; write one such as "pods"`
		noVersion  = `…: names no version: it matches nothing; write one such as "v1", or "*" for any`
	)
	checkAdvice(t, []advised{
		{"pods", "{version: v1, resource: pods}", ""},
		{"any version", "{group: apps, version: '*', resource: deployments}", ""},
		{"jobs", "{group: batch, version: v1, resource: cronjobs}", ""},
		{"custom resource", "{group: serving.knative.dev, version: v1, resource: services}", ""},
		{"custom resource with the name of a workload", "{group: metrics.k8s.io, version: v1, resource: pods}", ""},
		{"nothing", "{}", noResource + "\n" + noVersion},
		{"no resource", "{group: apps, version: v1}", noResource},
		{"no version", "{resource: pods}", noVersion},
		{"no version of a custom resource", "{group: serving.knative.dev, resource: services}", noVersion},
		{"core", "{group: core, version: v1, resource: pods}",
			`…: group "core": it matches nothing; the core group is written ""`},
		{"deployments in core", "{group: core, version: v1, resource: deployments}",
			`…: group "core": it matches nothing; deployments are in group "apps"`},
		{"deployments without a group", "{version: v1, resource: deployments}",
			`…: group "": it matches nothing; deployments are in group "apps"`},
		{"pods in apps", "{group: apps, version: v1, resource: pods}",
			`…: group "apps": it matches nothing; pods are in group ""`},
		{"jobs of any group", "{group: '*', version: v1, resource: jobs}",
			`…: group "*": it matches nothing; jobs are in group "batch"`},
		{"everything", "{group: apps, resource: jobs}",
			noVersion + "\n" + `…: group "apps": it matches nothing; jobs are in group "batch"`},
	}, "spec.match[0]", func(match string) []byte {
		return withSpec("{images: [{glob: a}], authorities: [{static: {action: pass}}], match: [" + match + "]}")
	})
}

func TestChecksThatAskForNothingWarn(t *testing.T) {
	t.Parallel()
	const (
		key     = "key: {data: \"" + publicKey + "\"}"
		keyless = "keyless: {identities: [{issuer: i, subject: s}]}"
		ownRoot = "keyless: {trustRootRef: r, identities: [{issuer: i, subject: s}]}"
		log     = "….ctlog: names neither url nor trustRootRef: the transparency log is not checked; " +
			"write trustRootRef with the name of a TrustRoot, or a url for the default root"
		timestamp = "….rfc3161timestamp: names no trustRootRef: timestamps are not checked; " +
			"write the name of a TrustRoot with timestampAuthorities"
	)
	checkAdvice(t, []advised{
		{"key and a log by url", "{" + key + ", ctlog: {url: 'https://rekor.example.com'}}", ""},
		{"key and a log by root", "{" + key + ", ctlog: {trustRootRef: r}}", ""},
		{"key and timestamps", "{" + key + ", rfc3161timestamp: {trustRootRef: r}}", ""},
		{"key and an empty log", "{" + key + ", ctlog: {}}", log},
		{"key and empty timestamps", "{" + key + ", rfc3161timestamp: {}}", timestamp},
		{"key and both empty", "{" + key + ", ctlog: {}, rfc3161timestamp: {}}", timestamp + "\n" + log},
		{"keyless and empty timestamps", "{" + keyless + ", rfc3161timestamp: {}}", timestamp},
		{"keyless of a root and an empty log", "{" + ownRoot + ", ctlog: {}}", log},
		{"keyless with timestamps and an empty log",
			"{" + keyless + ", ctlog: {}, rfc3161timestamp: {trustRootRef: r}}", log},
		{"keyless and an empty log, which is checked all the same", "{" + keyless + ", ctlog: {}}", ""},
	}, "spec.authorities[0]", withAuthority)
}

func TestSourceThatIsElsewhereWarns(t *testing.T) {
	t.Parallel()
	checkAdvice(t, []advised{
		{"SRC-1: a repository", "source: [{oci: ghcr.io/acme/signatures}]", ""},
		{"SRC-1: a repository of Docker Hub", "source: [{oci: acme}]", ""},
		{
			"SRC-1: a registry alone", "source: [{oci: ghcr.io}]",
			"….oci: ghcr.io is a registry alone, and with that the repository index.docker.io/library/ghcr.io; " +
				"write the repository, as in ghcr.io/signatures",
		},
		{"SRC-2: a prefix of tags", "source: [{oci: ghcr.io/acme/s, tagPrefix: a}]", ""},
		{"SRC-2: a prefix of tags, or of none", "signatureFormat: any\n    source: [{oci: ghcr.io/acme/s, tagPrefix: a}]", ""},
		{
			"SRC-2: a prefix where there are no tags", "signatureFormat: bundle\n    source: [{oci: ghcr.io/acme/s, tagPrefix: a}]",
			"….tagPrefix: bundles have no tags: it has no effect with signatureFormat bundle; leave it out",
		},
	}, "spec.authorities[0].source[0]", func(yaml string) []byte {
		return []byte("apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: p}\nspec:\n" +
			"  images: [{glob: \"**\"}]\n  authorities:\n  - keyless: {identities: [{issuer: a, subject: b}]}\n    " + yaml + "\n")
	})
}

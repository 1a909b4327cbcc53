package suite

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assay-dev/assay/world"
)

const keyPolicy = `
-- policies/key.yaml --
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: by-key}
spec:
  images: [{glob: "ghcr.io/keyed/**"}]
  authorities: [{name: deploy, key: {secretRef: {name: deploy-key}}, ctlog: {url: https://rekor.sigstore.dev}}]
`

const keyWorld = `
world:
  registry: ghcr.io
  signers: {deploy: {key: ecdsa-p256}}
  images:
    keyed: {repository: keyed/app, signatures: [{signer: deploy}]}
`

const rootPolicy = `
-- policies/root.yaml --
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: private}
spec:
  images: [{glob: "ghcr.io/private/**"}]
  match: [{resource: pods, version: v1, selector: {matchLabels: {env: prod}}}]
  authorities:
    - keyless: {trustRootRef: ours, identities: [{issuer: https://issuer.example, subjectRegExp: me@example}]}
      ctlog: {trustRootRef: ours}
`

const rootWorld = `
world:
  registry: ghcr.io
  signers: {me: {issuer: https://issuer.example, subject: me@example.com}}
  images:
    ours: {repository: private/app, signatures: [{signer: me}]}
    theirs: {repository: private/other, signatures: [{signer: me, fault: other-root}]}
`

const insidePolicy = `
-- policies/inside.yaml --
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: inside}
spec:
  images: [{glob: "ghcr.io/inside/**"}]
  authorities: [{name: any, static: {action: pass}}]
  policy:
    type: rego
    data: |
      package sigstore
      isCompliant { input.authorityMatches.any.static }
---
apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: cued}
spec:
  images: [{glob: "ghcr.io/inside/**"}]
  authorities: [{name: any, static: {action: pass}}]
  policy: {type: cue, data: "authorityMatches: any: static: true"}
`

const bare = "\nworld: {registry: ghcr.io, images: {bare: {}}}\n"

// TestRuns has what a directory of tests ends with, and a part of what it prints.
func TestRuns(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, files string
		args        []string
		code        int
		want        []string // of output and errors, in this order
	}{
		{
			name: "a key of the world in the place of a Secret", code: 0, want: []string{"PASS: 1/1"},
			files: keyPolicy + `
-- policies/key_test.yaml --` + keyWorld + `
resources:
  - {apiVersion: v1, kind: Secret, metadata: {name: deploy-key, namespace: cosign-system}, stringData: {cosign.pub: "${key:deploy}"}}
cases: [{name: signed, image: "${keyed}", want: allowed}]
`,
		}, {
			name: "a Secret of a fixture is that of its cases alone", code: 0, want: []string{"PASS: 2/2", `warning: policy by-key: spec.authorities[0] fails whatever it judges: secret "deploy-key" not found`},
			files: keyPolicy + `
-- policies/key_test.yaml --` + keyWorld + `
resources: [secret.yaml]
cases: [{name: signed, image: "${keyed}", want: allowed}]
-- policies/other_test.yaml --
cases: [{name: without the key, image: "${keyed}", want: denied, reasons: [deploy-key]}]
-- policies/secret.yaml --
apiVersion: v1
kind: Secret
metadata: {name: deploy-key, namespace: cosign-system}
stringData:
  cosign.pub: |
    ${key:deploy}
`, args: []string{"--ignore", "secret.yaml"},
		}, {
			name: "the world's Sigstore stands in for a trust root", code: 0, want: []string{"PASS: 4/4"},
			files: rootPolicy + `
-- policies/root_test.yaml --` + rootWorld + `
cases:
- {name: ours, want: allowed, resource: &pod {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {env: prod}}, spec: {containers: [{name: a, image: "${ours}"}]}}, policies: {private: passed}}
- {name: theirs, want: denied, reasons: [untrusted_root], resource: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {env: prod}}, spec: {containers: [{name: a, image: "${theirs}"}]}}}
- {name: without the label, image: "${ours}", want: allowed, policies: {private: unmatched}, config: {noMatch: allow}}
- {name: with whole expressions, resource: *pod, want: denied, reasons: [identity_mismatch], config: {identityRegexp: anchored}}
`,
		}, {
			name: "policies inside policies", code: 0, want: []string{"PASS: 6/6"},
			files: insidePolicy + `
-- policies/inside_test.yaml --
world: {registry: ghcr.io, images: {app: {repository: inside/app}}}
cases: [{name: both say yes, image: "${app}", want: allowed, policies: {inside: passed, cued: passed}}]
-- policies/inside_test.rego --
package inside_test

import data.assay.policies
import data.cip

subject := {"image": "ghcr.io/inside/app@sha256:aa"}

test_asked if policies.evaluate({"type": "rego", "module": "cip/inside/spec/policy"}, "x", {"authorityMatches": {"any": {"static": true}}}).outcome == "passed"

test_refused if policies.evaluate({"type": "rego", "module": "cip/inside/spec/policy"}, "x", {}).outcome == "failed"

test_cue if policies.evaluate({"type": "cue", "text": "a: 1"}, "x", {"a": 2}).outcome == "failed"

test_itself if cip.inside.spec.policy.isCompliant with input as {"authorityMatches": {"any": {"static": true}}}

test_mocked if cip.inside.authorities[0].outcome == "passed" with data.assay.verify.static as {"outcome": "passed"} with input as subject
`,
		}, {
			name: "images that no policy matches", code: 0, want: []string{"PASS: 4/4"},
			files: `
-- t_test.yaml --` + bare + `
cases:
- {name: denied, image: "${bare}", want: denied, reasons: [no matching policies]}
- {name: allowed, image: "${bare}", want: allowed, config: {noMatch: allow}}
- {name: warned, image: "${bare}", want: allowed, warnings: [no matching policies], config: {noMatch: warn}}
- {name: by tag, image: "${bare}", want: denied, reasons: [must be an image digest], config: {noMatch: allow, tags: deny}}
`,
		}, {
			name: "requests of other kinds", code: 0, want: []string{"PASS: 5/5"},
			files: `
-- t/t_test.yaml --` + bare + `
config: {noMatch: deny}
cases:
- {name: deletions, image: "${bare}", operation: DELETE, want: allowed}
- {name: a file, resource: ../deployment.yaml, namespace: prod, user: jane, groups: [dev], want: denied, reasons: ['spec.template.spec.containers[0].image']}
- {name: two images, images: ["${bare}", "${bare@}"], want: denied, reasons: ['containers[1]']}
- {name: a review, review: review.json, want: denied, reasons: ['spec.containers[0].image']}
- {name: an update that ends, want: allowed, review: {kind: AdmissionReview, request: {operation: UPDATE, kind: {group: "", version: v1, kind: Pod},
    object: {metadata: {deletionTimestamp: "2026-01-01T00:00:00Z"}, spec: {containers: [{image: "${bare}"}]}}, oldObject: {spec: {containers: [{image: "${bare}"}]}}}}}
-- t/review.json --
{"kind": "AdmissionReview", "request": {"operation": "CREATE", "kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": {"spec": {"containers": [{"image": "${bare}"}]}}}}
-- deployment.yaml --
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec: {template: {spec: {containers: [{name: a, image: "ghcr.io/bare:latest"}]}}}
`, args: []string{"--ignore", "review.json", "--ignore", "deployment.yaml"},
		}, {
			name: "an archive", code: 2, want: []string{"t_test.txtar:4:", "got denied, want allowed", "FAIL: 1/1"},
			files: "-- t_test.txtar --\nAn archive in an archive.\n", // filled below
		}, {
			name: "fixtures in a bundle, as editors run them", code: 0, want: []string{"PASS: 2/2"},
			files: `
-- policies/t_test.yaml --` + bare + `
cases: [{name: denied, image: "${bare}", want: denied}]
-- policies/t_test.rego --
package t_test

test_asks if oci.resolve("ghcr.io/bare:latest").ok
`, args: []string{"--verbose", "--bundle"},
		}, {
			name: "Rego tests that ask an empty world", code: 0, want: []string{"PASS: 2/2"},
			files: `
-- t_test.rego --
package t_test

test_unreachable if oci.resolve("ghcr.io/acme/app:v1").error.code == "unreachable"

test_nowhere if cosign.verify("ghcr.io/a@sha256:7b763b38f0bc29441c6a10e8e8ac4c8e63c7fae89ccf3270a015371c297719a7", {"keyless": {"identities": []}}).ok == false
`,
		}, {
			name: "a variable that names nothing", code: 1, want: []string{"t_test.yaml:3: got ${bear}, want the name of something in the world"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, image: '${bear}', want: denied}\n",
		}, {
			name: "a variable without an end", code: 1, want: []string{"t_test.yaml:3: got ${bare, want the name of something in the world"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, image: '${bare', want: denied}\n",
		}, {
			name: "a resource of Sigstore that is none", code: 1, want: []string{"p.yaml: document 0: ClusterImagePolcy a: unknown type"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, image: '${bare}', want: denied}\n" +
				"-- p.yaml --\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolcy\nmetadata: {name: a}\n",
		}, {
			name: "a policy without a name", code: 1, want: []string{"p.yaml: document 0: ", "metadata.name"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, image: '${bare}', want: denied}\n" +
				"-- p.yaml --\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {nam: a}\n",
		}, {
			name: "an expectation of nothing", code: 1, want: []string{"t_test.yaml:3: got ${digest:bear}, want"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, image: '${bare}', want: denied, reasons: ['${digest:bear}']}\n",
		}, {
			name: "a policy that is not there", code: 1, want: []string{"t_test.yaml:3: policies: got \"theirs\", want the name of a policy: ours, plain"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, image: '${bare}', want: denied, policies: {theirs: unmatched, plain: unmatched}}\n" +
				"-- ours.yaml --\napiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: ours}\n" +
				"spec: {images: [{glob: '**'}], authorities: [{static: {action: pass}}]}\n" +
				"-- plain.rego --\npackage policies.plain\n\ndeny contains \"no\"\n",
		}, {
			name: "a resource that is none", code: 1, want: []string{"t_test.yaml:3: kubernetes resource is missing kind key"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, resource: {apiVersion: v1}, want: denied}\n",
		}, {
			name: "a review that is none", code: 1, want: []string{"t_test.yaml:3: review: got another object, want an AdmissionReview with a request"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: a, review: {apiVersion: v1}, want: denied}\n",
		}, {
			name: "one image in two files", code: 1, want: []string{"b_test.yaml: world: images.bare: got another one than that of a_test.yaml: all files of a run are one world"},
			files: "-- a_test.yaml --" + bare + "-- b_test.yaml --\nworld: {images: {bare: {}}}\n",
		}, {
			name: "one policy in two files", code: 1, want: []string{"ClusterImagePolicy by-key is in policies/b.yaml too"},
			files: keyPolicy + strings.Replace(keyPolicy, "key.yaml", "b.yaml", 1),
		}, {
			name: "a policy that is none", code: 1, want: []string{"policies/key.yaml: document 0: ClusterImagePolicy by-key: "},
			files: strings.Replace(keyPolicy, "glob:", "blob:", 1),
		}, {
			name: "what a test is no part of", code: 2, want: []string{"deadline exceeded"},
			files: "-- t_test.yaml --" + bare + "cases:\n- {name: slow, image: '${bare}', want: denied}\n", args: []string{"--timeout", "1ns"},
		}, {
			name: "compiled policies beside their source", code: 1, want: []string{"index.rego: got compiled policies beside policies that are yet to be compiled, want one or the other"},
			files: keyPolicy + "-- cip/index.rego --\npackage cip_index\n\ncandidates := set()\n",
		}, {
			name: "data with a kind is data", code: 0, want: []string{"PASS: 1/1"},
			files: "-- d.yaml --\nkind: Secret of success\nTrustRoot: 1\n-- t_test.rego --\npackage t_test\n\ntest_data if data.TrustRoot == 1\n",
		}, {
			name: "cases in files of other names", code: 0,
			want: []string{"warning: release.test.yaml: got cases in a file", "warning: release_test.json: got cases in a file"},
			files: `
-- release.test.yaml --
cases: [{name: a, image: x, want: denied}]
-- release_test.json --
{"other": {"cases": [{"name": "a", "image": "x", "want": "denied"}]}}
`,
		}, {
			name: "the network", code: 2, want: []string{"test_network: FAIL", "FAIL: 1/1"},
			files: `
-- t_test.rego --
package t_test

test_network if http.send({"method": "get", "url": "SERVER"}).status_code == 200
`,
		}, {
			name: "tests of no file", code: 2, want: []string{"assay: specify at least one file"}, files: "", args: nil,
		}, {
			name: "capabilities that do not exist", code: 2, want: []string{"assay: invalid argument \"x.json\" for \"--capabilities\" flag"},
			files: "-- t_test.rego --\npackage t_test\n", args: []string{"--capabilities", "x.json"},
		}, {
			name: "coverage in a form that has no place for it", code: 2, want: []string{"--format: got junit, which has no place for coverage and benchmarks"},
			files: "-- t_test.rego --\npackage t_test\n", args: []string{"-f", "junit", "-c"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := unpacked(t, tt.files)
			if tt.name == "an archive" {
				write(t, dir, "t_test.txtar", "A story.\n-- test.yaml --\ncases:\n- {name: a, resource: pod.yaml, want: allowed}\n"+
					"-- pod.yaml --\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: x}]}\n")
			}
			if tt.name == "the world's Sigstore stands in for a trust root" {
				stranger, err := world.New(&world.Description{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = stranger.Close() })
				write(t, dir, "root.yaml", string(stranger.TrustRoot("ours")))
			}
			if tt.name == "the network" {
				server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("got a request") }))
				t.Cleanup(server.Close)
				write(t, dir, "t_test.rego", strings.ReplaceAll(tt.files[strings.Index(tt.files, "package"):], "SERVER", server.URL))
			}
			args := append(tt.args, ".")
			if tt.files == "" {
				args = nil
			}
			got := assay(t, dir, args...)
			rest := got.Output + got.Errors
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("got\n%s%s\nwant %s", got.Output, got.Errors, want)
				}
				rest = after
			}
			if got.Code != tt.code {
				t.Errorf("code: got %d, want %d\n%s%s", got.Code, tt.code, got.Output, got.Errors)
			}
		})
	}
}

const regoPolicies = `
-- policies/team.rego --
# METADATA
# title: Every workload has a team
package policies.team

import data.approved

deny contains "no team" if not input.request.object.metadata.labels.team

deny contains msg if {
	team := input.request.object.metadata.labels.team
	not team in approved.teams
	msg := sprintf("team %s is not approved", [team])
}
-- policies/base.rego --
package kubernetes.admission

warn contains sprintf("%s was built by root", [ref]) if {
	some container in input.request.object.spec.containers
	ref := oci.resolve(container.image).ref
	some _, config in oci.configs(ref).value
	config.config.User == "root"
}
-- policies/approved/data.json --
{"teams": ["payments"]}
`

// TestPoliciesInRego: they decide cases beside ClusterImagePolicies, with their data, and
// their tests in Rego run beside them, library and compiled policies included or not.
func TestPoliciesInRego(t *testing.T) {
	t.Parallel()
	dir := unpacked(t, regoPolicies+`
-- policies/team_test.rego --
package team_test

import data.kubernetes.admission
import data.policies.team

test_team if count(team.deny) == 0 with input as pod("payments", "ghcr.io/app:latest")

test_other_team if team.deny == {"team search is not approved"} with input as pod("search", "ghcr.io/app:latest")

test_root if count(admission.warn) == 1 with input as pod("payments", "ghcr.io/app:latest")

test_asked if {
	answer := assay.policy("team", pod("search", "ghcr.io/app:latest"))
	answer.deny == ["team search is not approved"]
}

pod(team, image) := {"request": {"object": {"metadata": {"labels": {"team": team}}, "spec": {"containers": [{"image": image}]}}}}
-- policies/team_test.yaml --
world: {registry: ghcr.io, images: {app: {config: {user: root}}}}
config: {noMatch: allow}
cases:
- {name: no team, image: "${app}", want: denied, reasons: [no team], policies: {team: failed, kubernetes.admission: passed}, warnings: [was built by root]}
- name: a team
  resource: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {team: payments}}, spec: {containers: [{name: a, image: "${app}"}]}}
  want: allowed
  warnings: ["ghcr.io/app@${digest:app} was built by root"]
  policies: {team: passed}
- name: another team
  resource: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {team: search}}, spec: {containers: [{name: a, image: "${app}"}]}}
  want: denied
  reasons: [team search is not approved]
`)
	if got := assay(t, dir, "policies"); got.Code != exitPassed || !strings.Contains(got.Output, "PASS: 7/7") {
		t.Errorf("got %+v, want 7 tests that pass", got)
	}
	write(t, dir, "policies/team.rego", "package policies.team\n\ndeny contains \"x\" if data.nothing.at_all\n")
	got := assay(t, dir, "policies")
	if want := "warning: policy team: fails whatever it judges: "; got.Code != exitFailed || !strings.Contains(got.Errors, want) {
		t.Errorf("a policy that the engine does not compile: got %+v, want code %d and %s", got, exitFailed, want)
	}
}

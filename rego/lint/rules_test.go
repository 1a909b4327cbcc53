package lint_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/lint"
)

// everywhere is a policy for all images with the authorities, and other fields
// of the spec.
func everywhere(name, authorities string, fields ...string) string {
	return policy(name, `{images: [{glob: "**"}], authorities: [`+authorities+`]`+strings.Join(append([]string{""}, fields...), ", ")+`}`)
}

// root is a TrustRoot, as little as one needs.
const root = `apiVersion: policy.sigstore.dev/v1alpha1
kind: TrustRoot
metadata: {name: ours}
spec: {remote: {mirror: https://tuf.acme.example, root: eyJzaWduYXR1cmVzIjpbXX0=}}
`

type ruleCase struct {
	name  string
	files []string
	want  []string
}

func checkRules(t *testing.T, cases []ruleCase) {
	t.Helper()
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, line := range said(run(t, tt.files...)) {
				got = append(got, line[:strings.LastIndex(line, " | ")]) // the fixes are prose
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvidence(t *testing.T) {
	t.Parallel()
	const trusted = `identities: [{issuer: https://issuer.example, subject: me@acme.example}], trustRootRef: ours`
	const a = "spec.authorities[0]"
	checkRules(t, []ruleCase{
		{"keyless", []string{everywhere("p", signed)}, nil},
		{"KEY-6: a key with a log", []string{everywhere("p", `{key: `+key+`, ctlog: {url: https://rekor.example}}`)}, nil},
		{
			"KEY-5: a key without a log", []string{everywhere("p", `{key: `+key+`}`)},
			[]string{"note no-log p " + a + ".key | a signature by this key needs no entry in a transparency log"},
		}, {
			"KEY-5: a key with an empty log", []string{everywhere("p", `{key: `+key+`, ctlog: {}}`)},
			[]string{"warning empty-field p " + a + ".ctlog | names neither url nor trustRootRef: the transparency log is not checked"},
		}, {
			"KLS-7: an empty log beside the default root is checked", []string{everywhere("p", strings.Replace(signed, "{", "{ctlog: {}, ", 1))}, nil,
		}, {
			"KLS-8: a trust root without a log", []string{everywhere("p", `{keyless: {`+trusted+`}}`), root},
			[]string{"warning no-log p " + a + ".keyless.trustRootRef | with trustRootRef and without ctlog the log is not checked: an image is admitted only while its certificate is valid, which is ten minutes"},
		},
		{"KLS-8: a trust root with a log", []string{everywhere("p", `{keyless: {`+trusted+`}, ctlog: {trustRootRef: ours}}`), root}, nil},
		{"TSA-1: a trust root with timestamps", []string{everywhere("p", `{keyless: {`+trusted+`}, rfc3161timestamp: {trustRootRef: ours}}`), root}, nil},
		{
			"TSA-1: timestamps of nobody", []string{everywhere("p", `{key: `+key+`, rfc3161timestamp: {}, ctlog: {url: https://rekor.example}}`)},
			[]string{"warning empty-field p " + a + ".rfc3161timestamp | names no trustRootRef: timestamps are not checked"},
		}, {
			"KLS-6: a certificate that nobody logged", []string{everywhere("p", `{keyless: {`+trusted+`, insecureIgnoreSCT: true}, ctlog: {trustRootRef: ours}}`), root},
			[]string{"note no-log p " + a + ".keyless.insecureIgnoreSCT | a certificate needs no proof that it was logged"},
		}, {
			"VAL-21: trust roots that are nowhere",
			[]string{everywhere("p", `{keyless: {`+strings.Replace(trusted, "ours", "theirs", 1)+`}, ctlog: {trustRootRef: ours}, rfc3161timestamp: {trustRootRef: mine}}`), root},
			[]string{
				"warning trust-root-missing p " + a + ".keyless.trustRootRef | none of the files defines TrustRoot theirs: the authority fails for every image",
				"warning trust-root-missing p " + a + ".rfc3161timestamp.trustRootRef | none of the files defines TrustRoot mine: the authority fails for every image",
			},
		}, {
			"VAL-16: a short name with a slip of the pen", []string{everywhere("p", strings.TrimSuffix(signed, "}")+`, attestations: [{name: a, predicateType: vulns}]}`)},
			[]string{
				"warning deprecated-predicate-type p " + a + ".attestations[0].predicateType | vulns is neither a URI nor one of the short names: only attestations that say just that have it",
			},
		}, {
			"VAL-16: short names and old types", []string{everywhere("p", strings.TrimSuffix(signed, "}")+
				`, attestations: [{name: a, predicateType: vuln}, {name: b, predicateType: cosign.sigstore.dev/attestation/v1}, {name: c, predicateType: https://slsa.dev/provenance/v1}, {name: d, predicateType: "urn:x"}]}`)},
			[]string{
				"warning deprecated-predicate-type p " + a + ".attestations[0].predicateType | vuln is short for https://cosign.sigstore.dev/attestation/vuln/v1",
				"note deprecated-predicate-type p " + a + ".attestations[1].predicateType | cosign.sigstore.dev/attestation/v1 is not a URI; it is compared as it is with what the attestation says",
			},
		},
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	named := func(name, rest string) string {
		return `{name: ` + name + `, ` + strings.TrimPrefix(signed, "{")[:len(signed)-2] + rest + `}`
	}
	checkRules(t, []ruleCase{
		{
			"VAL-21: two authorities of a name", []string{everywhere("p", named("a", "")+", "+named("b", "")+", "+named("a", ""))},
			[]string{"warning duplicate-name p spec.authorities[2].name | a is the name of spec.authorities[0] too: policies see only one of them"},
		}, {
			"VAL-21: two attestations of a name", []string{everywhere("p", named("a", `, attestations: [{name: x, predicateType: "urn:x"}, {name: x, predicateType: "urn:y"}]`))},
			[]string{"warning duplicate-name p spec.authorities[0].attestations[1].name | x is the name of attestations[0] too: policies see only one of them"},
		}, {
			"two policies of a name", []string{everywhere("p", signed), everywhere("q", signed), everywhere("p", signed)},
			[]string{"error duplicate-name p metadata.name | ClusterImagePolicy p is in file0.yaml:1 too: a cluster has one of them"},
		}, {
			"two trust roots of a name", []string{root, root},
			[]string{"error duplicate-name ours metadata.name | TrustRoot ours is in file0.yaml:1 too: a cluster has one of them"},
		},
	})
}

func TestMatches(t *testing.T) {
	t.Parallel()
	const pods = `{version: v1, resource: pods}`
	workloads := ""
	for _, w := range []string{"apps deployments", "apps replicasets", "apps statefulsets", "apps daemonsets", "batch jobs", "batch cronjobs"} {
		group, resource, _ := strings.Cut(w, " ")
		workloads += `{group: ` + group + `, version: "*", resource: ` + resource + `}, `
	}
	covers := "covers pods and not deployments, replicasets, statefulsets, daemonsets, jobs and cronjobs: " +
		"these are judged before their Pods exist, and none of the given policies matches them"
	checkRules(t, []ruleCase{
		{"MATCH-3: all kinds", []string{everywhere("p", signed, `match: [`+workloads+pods+`]`)}, nil},
		{"MATCH-3: a custom resource", []string{everywhere("p", signed, `match: [{group: serving.knative.dev, version: v1, resource: services}]`)}, nil},
		{
			"MATCH-3: pods only", []string{everywhere("p", signed, `match: [`+pods+`]`)},
			[]string{"warning match-leaves-workloads p spec.match | " + covers},
		}, {
			"MATCH-3: pods only, and their spec is looked at",
			[]string{everywhere("p", signed, `match: [`+pods+`], policy: {type: rego, data: package sigstore, includeSpec: true}`)},
			[]string{"note match-leaves-workloads p spec.match | " + covers},
		},
		{"MATCH-3: pods only, and another policy for the rest", []string{everywhere("p", signed, `match: [`+pods+`]`), policy("q", globs("ghcr.io/**"))}, nil},
		{
			"MATCH-3: workloads only", []string{everywhere("p", signed, `match: [{group: apps, version: v1, resource: deployments}]`)},
			[]string{"warning match-leaves-workloads p spec.match | covers workloads and not pods: neither their Pods, nor Pods that are created directly, match the policy"},
		}, {
			"MATCH-1: a group that is none", []string{everywhere("p", signed, `match: [`+workloads+pods+`, {group: core, version: v1, resource: pods}]`)},
			[]string{`error match-nothing p spec.match[7].group | group "core" has no pods: it matches nothing`},
		}, {
			"MATCH-2: neither resource nor version", []string{everywhere("p", signed, `match: [`+workloads+pods+`, {group: apps}]`)},
			[]string{
				"error match-nothing p spec.match[7] | names no resource: it matches nothing",
				"error match-nothing p spec.match[7] | names no version: it matches nothing",
			},
		},
	})
}

func TestStaticPass(t *testing.T) {
	t.Parallel()
	const pass = `{static: {action: pass}}`
	static := func(glob string) string {
		return policy("exempt", `{images: [{glob: "`+glob+`"}], authorities: [`+pass+`]}`)
	}
	exempts := []string{"warning static-pass-exempts-nothing exempt spec.authorities[0].static | exempts from nothing: the images have to satisfy p as well"}
	checkRules(t, []ruleCase{
		{"COMB-3: an exemption from everything", []string{everywhere("p", signed), static("ghcr.io/free/**")}, exempts},
		{"COMB-3: an exemption within a path", []string{policy("p", globs("ghcr.io/**")), static("ghcr.io/free/app@*")}, exempts},
		{"COMB-3: an exemption across", []string{policy("p", globs("*/free/**")), static("ghcr.io/**")}, exempts},
		{"COMB-3: another registry", []string{policy("p", globs("ghcr.io/**")), static("quay.io/**")}, nil},
		{"COMB-3: more is asked of some", []string{policy("p", globs("ghcr.io/acme/**")), static("ghcr.io/**")}, nil},
		{
			"COMB-3: other objects", []string{
				everywhere("p", signed, `match: [{group: a.example, version: v1, resource: as}]`),
				policy("exempt", `{images: [{glob: "ghcr.io/free/**"}], match: [{group: b.example, version: v1, resource: bs}], authorities: [`+pass+`]}`),
			}, nil,
		}, {
			"any registry", []string{static("**"), policy("q", `{images: [{glob: "*/app@*"}], authorities: [`+pass+`]}`)},
			[]string{
				"warning static-pass-wide exempt spec.images[0].glob | ** lets images of any registry pass without a signature",
				"warning static-pass-wide q spec.images[0].glob | */app@* lets images of any registry pass without a signature",
			},
		}, {
			"beside others", []string{policy("p", `{images: [{glob: "ghcr.io/**"}], authorities: [`+signed+`, `+pass+`]}`)},
			[]string{"error static-pass-beside p spec.authorities[1].static | always passes, and one authority suffices: the others are never needed"},
		},
		{"a carrier of a policy", []string{everywhere("p", pass, `policy: {type: rego, data: package sigstore}`)}, nil},
		{"a static fail", []string{everywhere("p", `{static: {action: fail}}`)}, nil},
	})
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	embedded := func(kind, text string) string {
		return everywhere("p", `{static: {action: pass}}`, "policy: {type: "+kind+", data: "+`"`+strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(text)+`"}`)
	}
	attested := func(text string) string {
		return everywhere("p", strings.TrimSuffix(signed, "}")+`, attestations: [{name: a, predicateType: "urn:x", policy: {type: cue, data: '`+text+`'}}]}`)
	}
	missing := func(field string) []string {
		return []string{"note cue-missing-fields p spec.policy.data | has regular fields only: a document without " + field + " passes"}
	}
	answers := []string{"note rego-or-semantics p spec.policy.data | has 2 rules for isCompliant: the first answer whose result is true admits, whatever the others say"}
	warns := []string{"note rego-or-semantics p spec.policy.data | gives a warning: an answer that has one counts as failed, even if its result is true"}
	checkRules(t, []ruleCase{
		{"CUE-1: regular fields", []string{embedded("cue", `config: "linux/amd64": config: User: "65532"`)}, missing("config")},
		{"CUE-1: a bound", []string{embedded("cue", "spec: runAsUser: >0")}, missing("runAsUser")},
		{"CUE-1: a required field", []string{embedded("cue", `spec!: serviceAccount!: "x"`)}, nil},
		{"CUE-1: a list that is counted", []string{embedded("cue", "import \"list\"\nspec: list.MinItems(1)\nname: \"x\"")}, nil},
		{"CUE-1: what may be absent", []string{embedded("cue", `spec: {hostPID: false, volumes: [...{hostPath: path: ""}]}`)}, nil},
		{"CUE-1: a field that is always there", []string{attested(`predicateType: "urn:x"`)}, nil},
		{"CUE-1: a definition and a comment", []string{embedded("cue", "#Allowed: \"Default\" // a: 1\nspec: #Allowed")}, nil},
		{"REGO-3: two answers in v0", []string{embedded("rego", "package sigstore\nisCompliant[r] { r := {} }\n  isCompliant[r] { r := {} }")}, answers},
		{"REGO-3: two answers in v1", []string{embedded("rego", "package sigstore\nisCompliant contains r if { r := {} }\nisCompliant contains r if { r := {} }")}, answers},
		{"REGO-3: one answer", []string{embedded("rego", "package sigstore\n# isCompliant[r]\nisCompliant[r] { r := {} }")}, nil},
		{"REGO-4: a warning", []string{embedded("rego", "package sigstore\nisCompliant[r] { r := {\"result\": true, \"warning\": \"old\"} }")}, warns},
		{"REGO-4: a warning in a variable", []string{embedded("rego", "package sigstore\nisCompliant[r] { w = sprintf(\"%d\", [1])\n r := {\"warning\" : w} }")}, warns},
		{"REGO-4: an empty warning", []string{embedded("rego", "package sigstore\nisCompliant[r] { w = \"\"\n r := {\"warning\" : w} }")}, nil},
	})
}

func TestIgnore(t *testing.T) {
	t.Parallel()
	annotated := func(rules string) string {
		return strings.Replace(policy("p", globs("ghcr.io/acme/app*")), "metadata: {", "metadata: {annotations: {assay.dev/lint-ignore: \""+rules+"\"}, ", 1)
	}
	wide := "warning glob-too-wide p spec.images[0].glob | ghcr.io/acme/app* also matches ghcr.io/acme/app-evil"
	unknown := func(rule string) string {
		return "error unknown-ignore p metadata.annotations | assay.dev/lint-ignore names \"" + rule + "\", which is no rule that can be ignored"
	}
	checkRules(t, []ruleCase{
		{"the rule", []string{annotated("glob-too-wide")}, nil},
		{"the rule among others", []string{annotated("no-log, glob-too-wide,")}, nil},
		{"another rule", []string{annotated("no-log")}, []string{wide}},
		{"no rule", []string{annotated("glob-to-wide")}, []string{unknown("glob-to-wide"), wide}},
		{"the rule about ignoring", []string{annotated("glob-too-wide,unknown-ignore")}, []string{unknown("unknown-ignore")}},
	})
}

// TestRules holds the list of rules to what its readers rely on.
func TestRules(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, rule := range lint.Rules() {
		if seen[rule.ID] || rule.Summary == "" || rule.Why == "" || strings.HasSuffix(rule.Summary, ".") || !strings.HasSuffix(rule.Why, ".") {
			t.Errorf("%s: got a rule without its parts, or a second of its name", rule.ID)
		}
		seen[rule.ID] = true
	}
}

func TestReferences(t *testing.T) {
	t.Parallel()
	policy := func(rest string) string {
		return everywhere("p", `{key: {secretRef: {name: k}}}, {keyless: {identities: [{issuer: https://i.example, subject: s}], ca-cert: {secretRef: {name: ca}}},`+
			` attestations: [{name: a, predicateType: "urn:x", policy: {type: cue, configMapRef: {name: c, key: x}}}]}`) + rest
	}
	const (
		secrets = "{apiVersion: v1, kind: Secret, metadata: {name: k}}\n---\n{apiVersion: v1, kind: Secret, metadata: {name: ca, namespace: cosign-system}}"
		texts   = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {x: \"a: 1\"}}"
		a       = "spec.authorities[1].attestations[0].policy"
		log     = "note no-log p spec.authorities[0].key | a signature by this key needs no entry in a transparency log"
	)
	secret := func(path, name string) string {
		return "warning reference-missing p " + path + ".secretRef.name | none of the files has Secret " + name +
			" of namespace cosign-system: the authority fails for every image"
	}
	configMap := "warning reference-missing p " + a + ".configMapRef.name | none of the files has ConfigMap c of namespace cosign-system: the authority fails for every image"
	checkRules(t, []ruleCase{
		{"KEY-2, POL-4: all there", []string{policy(""), secrets, texts}, []string{log}},
		{"KEY-2, POL-4: nothing there", []string{policy("")}, []string{
			log, secret("spec.authorities[0].key", "k"), configMap, secret("spec.authorities[1].keyless.ca-cert", "ca"),
		}},
		{"POL-4: another namespace", []string{policy(""), secrets, strings.Replace(texts, "name: c", "name: c, namespace: team", 1)}, []string{log, configMap}},
		{"POL-4: another key", []string{policy(""), secrets, strings.Replace(texts, "x:", "y:", 1)}, []string{
			log, "warning reference-missing p " + a + ".configMapRef.key | ConfigMap c has no text under x: the authority fails for every image",
		}},
	})
}

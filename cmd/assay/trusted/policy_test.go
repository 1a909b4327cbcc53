package trusted

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNewPolicyRefusesWhatIsWeaker(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, tt := range []struct{ name, text, says string }{
		{"no policy", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "got no ClusterImagePolicy, want at least one"},
		{"a policy that warns", strings.Replace(keyless, "spec:", "spec:\n  mode: warn", 1), "spec.mode: got warn, which admits, want enforce"},
		{"a policy that passes", strings.Replace(keyless, "  authorities:", "  authorities:\n  - static: {action: pass}", 1), "spec.authorities[0].static.action: got pass"},
		{"a policy of a namespace", strings.NewReplacer("kind: ClusterImagePolicy", "kind: ImagePolicy", "v1beta1", "v1beta1", "{name: policies}", "{name: policies, namespace: a}",
			"policy.sigstore.dev/v1beta1", "policy.assay.dev/v1alpha1").Replace(keyless), "got a policy of one namespace"},
		{"a policy for some kinds", strings.Replace(keyless, "spec:", "spec:\n  match: [{resource: deployments, version: v1, group: apps}]", 1), "spec.match: got 1 entries, want none"},
		{"a policy that asks for the configuration", strings.Replace(keyless, "spec:", "spec:\n  policy: {type: cue, data: 'true', fetchConfigFile: true}", 1), "spec.policy.fetchConfigFile: got true"},
		{"a signer who may be anybody", strings.Replace(keyless, `subject: "`+subject+`"`, `subjectRegExp: ".*"`, 1), "trust.yaml:"},
		{"a misspelt field", strings.Replace(keyless, "spec:", "spec:\n  mod: warn", 1), "mod"},
		{"policies for workloads", keyless + "---\napiVersion: policy.assay.dev/v1alpha1\nkind: WorkloadPaths\nmetadata: {name: a}\n" +
			"spec: {group: a.example.com, kind: A, podSpecs: [spec.template.spec]}\n", "WorkloadPaths"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := NewPolicy(t.Context(), l.flags(), []string{written(t, tt.text)})
			refuses(t, err, tt.says)
		})
	}
	_, err := NewPolicy(t.Context(), l.flags(), nil)
	refuses(t, err, "got no path", ErrWeak)
	_, err = NewPolicy(t.Context(), l.flags(), []string{"nowhere.yaml"})
	refuses(t, err, "nowhere.yaml")
}

// TestNewPolicyRefusesStrangers: an expression says an owner, however it is written.
func TestNewPolicyRefusesStrangers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, tt := range []struct{ name, identity, says string }{
		{"whoever has a URL", `{issuer: https://a.example, subjectRegExp: "https://.*"}`, `spec.authorities[0].keyless.identities[0].subjectRegExp: got "https://.*", which matches https://stranger.example/stranger, want an owner`},
		{"whoever has a repository", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/.*$'}`, "subjectRegExp: got"},
		{"whoever calls one policies", `{issuer: https://a.example, subjectRegExp: 'https://github\.com/[^/]+/policies/\.github/workflows/publish\.yml@refs/heads/main'}`, "subjectRegExp: got"},
		{"whoever is at GitLab", `{issuer: https://a.example, subjectRegExp: 'https://gitlab\.com/.+'}`, "subjectRegExp: got"},
		{"whoever has an address", `{issuer: https://a.example, subjectRegExp: '.+@.+'}`, "which matches stranger@gmail.com"},
		{"whoever has a workload", `{issuer: https://a.example, subjectRegExp: 'spiffe://[^/]*/ns/.*'}`, "which matches spiffe://"},
		{"one branch of two", `{issuer: https://a.example, subjectRegExp: 'https://github\.com/acme/.*|https://gitlab\.com/.*'}`, "subjectRegExp: got"},
		{"whoever is an issuer", `{issuerRegExp: "https://.*", subject: a@acme.example}`, `identities[0].issuerRegExp: got "https://.*", which matches https://stranger.example, want issuers that are named`},
		{"whoever runs a cluster", `{issuerRegExp: 'https://oidc\.eks\..*', subject: a@acme.example}`, "issuerRegExp: got"},
		{"whoever calls a workflow push", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/[^/]+/policies/push\.yml@refs/heads/main$'}`, "says no owner"},
		{"whoever deploys", `{issuer: https://a.example, subjectRegExp: '.*/policies/\.github/workflows/deploy-prod\.yml@refs/heads/main'}`, "says no owner"},
		{"an owner somewhere", `{issuer: https://a.example, subjectRegExp: '.*acme/policies.*'}`, "says no owner"},
		{"an owner behind others", `{issuer: https://a.example, subjectRegExp: 'https://github\.com/.*acme/policies/.*'}`, "says no owner"},
		{"an owner and whoever is called so and more", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/acme.*'}`, "says no owner"},
		{"a host and whoever is called so and more", `{issuer: https://a.example, subjectRegExp: '^https://github\.com.*/acme/.*'}`, "says no owner"},
		{"an owner who may be left out", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/(acme/)?policies.*'}`, "says no owner"},
		{"an owner who may be another", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/(acme|[a-z]+)/policies/.*'}`, "subjectRegExp: got"},
		{"one of two forms alone", `{issuer: https://a.example, subjectRegExp: '^(https://github\.com/acme/.*|.*/policies/push\.yml@refs/heads/v7)$'}`, "says no owner"},
		{"an owner in any case", `{issuer: https://a.example, subjectRegExp: '(?i)^https://github\.com/acme/.*'}`, "says no owner"},
		{"any namespace of a cluster", `{issuer: https://a.example, subjectRegExp: 'https://kubernetes\.io/namespaces/[^/]+/serviceaccounts/publisher'}`, "says no owner"},
		{"a branch that looks like an address", `{issuer: https://a.example, subjectRegExp: '.+@acme\.example'}`, "says no owner"},
		{"a branch that looks like an address of a robot", `{issuer: https://a.example, subjectRegExp: '^.*-bot[0-9]*@acme\.example$'}`, "says no owner"},
		{"a branch below others that looks like an address", `{issuer: https://a.example, subjectRegExp: '(.+/)?ci-[a-z]+@acme\.example'}`, "says no owner"},
		{"a branch in letters that may be an @", `{issuer: https://a.example, subjectRegExp: '[^/]+-bot@acme\.example'}`, "says no owner"},
		{"an address and the slashes of a workflow", `{issuer: https://a.example, subjectRegExp: '[^@]+@acme\.example'}`, "says no owner"},
		{"a user name behind any character", `{issuer: https://a.example, subjectRegExp: '(?s).ci-[a-z]+!acme\.example'}`, "says no owner"},
		{"a user name behind an @", `{issuer: https://a.example, subjectRegExp: '[^/]+!acme\.example'}`, "says no owner"},
		{"two of an @", `{issuer: https://a.example, subjectRegExp: '([a-z]+@?){2}-bot@acme\.example'}`, "says no owner"},
		{"one domain of two", `{issuer: https://a.example, subjectRegExp: '([a-z]+@acme|.+@acme-labs)\.example'}`, "says no owner"},
		{"robots of a domain", `{issuer: https://a.example, subjectRegExp: '^[^/@]*-bot[0-9]{1,3}@acme\.example$'}`, ""},
		{"user names of a domain", `{issuer: https://a.example, subjectRegExp: '[a-z.]+!acme\.example'}`, ""},
		{"two domains", `{issuer: https://a.example, subjectRegExp: '[a-z]+(@acme|@acme-labs)\.example'}`, ""},
		{"a domain and whatever is called so and more", `{issuer: https://a.example, subjectRegExp: '[^@]+@acme\..*'}`, "says no owner"},
		{"nothing", `{issuer: https://a.example, subjectRegExp: '[^\x00-\x{10FFFF}]'}`, "says no owner"},
		{"an issuer of a name that is open", `{issuerRegExp: 'https://issuer\.acme\.example/.*', subject: a@acme.example}`, "issuerRegExp: got"},
		{"clusters of other regions", `{issuerRegExp: 'https://container\.googleapis\.com/v1/projects/.*/locations/us-.*', subject: a@acme.example}`, "issuerRegExp: got"},
		{"one of two owners, by letters", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/acm[ex]/.+'}`, ""},
		{"an owner or a domain", `{issuer: https://a.example, subjectRegExp: '^https://gitlab\.com/acme/.*$|^[^/@]+@acme\.example$'}`, ""},
		{"an owner or a domain, once anchored", `{issuer: https://a.example, subjectRegExp: '^(?:https://gitlab\.com/acme/.*|[^/@]+@acme\.example)$'}`, ""},
		{"a trust domain", `{issuer: https://a.example, subjectRegExp: 'spiffe://acme\.example/ns/[a-z]+/sa/publisher'}`, ""},
		{"a namespace", `{issuer: https://a.example, subjectRegExp: 'https://kubernetes\.io/namespaces/policies/serviceaccounts/.+'}`, ""},
		{"some names, written out", `{issuer: https://a.example, subjectRegExp: 'publisher-[0-9]'}`, ""},
		{"an owner", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/acme/.*'}`, ""},
		{"two owners", `{issuer: https://a.example, subjectRegExp: '^https://github\.com/(acme|acme-labs)/.*'}`, ""},
		{"a domain", `{issuer: https://a.example, subjectRegExp: '^[^/@]+@acme\.example$'}`, ""},
		{"an issuer of some names", `{issuerRegExp: '^https://(a|b)\.example$', subject: a@acme.example}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(keyless, `{issuer: `+issuer+`, subject: "`+subject+`"}`, tt.identity, 1)
			_, err := NewPolicy(t.Context(), l.flags(), []string{written(t, text)})
			if tt.says == "" {
				if err != nil {
					t.Errorf("got %v, want it taken", err)
				}
				return
			}
			refuses(t, err, tt.says, ErrWeak)
		})
	}
	text := strings.Replace(keyless, "- keyless:", "- keyless:\n      insecureIgnoreSCT: true", 1)
	_, err := NewPolicy(t.Context(), l.flags(), []string{written(t, text)})
	refuses(t, err, "spec.authorities[0].keyless.insecureIgnoreSCT: got true, which believes certificates that no log has, want false", ErrWeak)
}

func TestNewPolicyRefusesPlainRego(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	dir := t.TempDir()
	for name, text := range map[string]string{"trust.yaml": keyless, "a.rego": "package policies.a\n\ndeny contains \"x\" if false\n", "b/data.json": `{"x": 1}`} {
		writeFile(t, dir, name, text)
	}
	_, err := NewPolicy(t.Context(), l.flags(), []string{dir})
	refuses(t, err, "a policy in plain Rego, want ClusterImagePolicies and TrustRoots alone", ErrWeak)
	refuses(t, err, "a data document")
}

// TestPolicyIsReadStrictly: whatever the flags of the policies say that judge images.
func TestPolicyIsReadStrictly(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	at := l.push(t, "latest", "1")
	l.sign(t, at, "other") // whose subject begins like that of the right one
	flags := l.flags()
	flags.NoMatch, flags.IdentityRegexp = "allow", "upstream"
	pattern := strings.Replace(keyless, `subject: "`+subject+`"`, `subjectRegExp: "https://github\\.com/acme/policies/\\.github/workflows/push\\.yml@refs/heads/main"`, 1)
	p, err := NewPolicy(t.Context(), flags, []string{written(t, pattern)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Admit(t.Context(), at)
	refuses(t, err, "none of the expected identities matched", ErrDenied)
	other := strings.Replace(keyless, "**/acme/policies*", "**/acme/others*", 1)
	if p, err = NewPolicy(t.Context(), flags, []string{written(t, other)}); err != nil {
		t.Fatal(err)
	}
	_, err = p.Admit(t.Context(), at)
	refuses(t, err, "no matching policies", ErrDenied)
}

// FuzzEdges: each value that an expression matches begins, and ends, with one of the texts that
// are said of it.
func FuzzEdges(f *testing.F) {
	for _, one := range []string{`^https://github\.com/acme/.*`, `(a|b)+c?`, `[^@]+@acme\.example$`, `https://a\.b/(c/)?.*`, `(?i)a`, `(?:^|x)a{2,3}(|b)`} {
		for _, value := range []string{"https://github.com/acme/x", "stranger@acme.example", "aab"} {
			f.Add(one, value)
		}
	}
	f.Fuzz(func(t *testing.T, expression, value string) {
		parsed, err := syntax.Parse(expression, syntax.Perl)
		if err != nil || len(expression) > 200 || !utf8.ValidString(value) {
			return
		}
		whole, err := regexp.Compile(`\A(?:` + expression + `)\z`)
		if err != nil || !whole.MatchString(value) {
			return
		}
		parsed = parsed.Simplify()
		if !slices.ContainsFunc(edges(parsed, false), func(e edge) bool { return e.text == value || e.open && strings.HasPrefix(value, e.text) }) {
			t.Errorf("%q matches %q, which begins with none of %v", expression, value, edges(parsed, false))
		}
		if !slices.ContainsFunc(edges(parsed, true), func(e edge) bool { return e.text == value || e.open && strings.HasSuffix(value, e.text) }) {
			t.Errorf("%q matches %q, which ends with none of %v", expression, value, edges(parsed, true))
		}
		if got, most := strings.Count(value, "/")+strings.Count(value, "@"), separators(parsed); got > most && most < many {
			t.Errorf("%q matches %q, which has more than %d of / and @", expression, value, most)
		}
	})
}

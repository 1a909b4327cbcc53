package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/lint"
)

// key is a public key of nobody.
const key = `{data: "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsbv3N64YFfMR7M7fgFeAK6wZJtCm\n7wxHgZ7q8IgTK8mkIoU6/qunfRQo8AH0Qb8RjKIkNPFT0AG8pSMhOmG4Cw==\n-----END PUBLIC KEY-----\n"}`

// signed is an authority that no rule has anything against.
const signed = `{keyless: {identities: [{issuer: https://issuer.example, subject: me@acme.example}]}}`

// policy is one with a spec in flow style.
func policy(name, spec string) string {
	return "apiVersion: policy.sigstore.dev/v1beta1\nkind: ClusterImagePolicy\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

// run lints documents, each in a file of its own.
func run(t *testing.T, documents ...string) []lint.Finding {
	t.Helper()
	var files []lint.File
	for i, document := range documents {
		file, err := lint.Parse("file"+string(rune('0'+i))+".yaml", []byte(document))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return lint.Run(files)
}

// said are the findings, each in one line without its place.
func said(findings []lint.Finding) []string {
	var out []string
	for _, f := range findings {
		out = append(out, string(f.Severity)+" "+f.Rule+" "+f.Policy+" "+f.Path+" | "+f.Message+" | "+f.Fix)
	}
	return out
}

func globs(texts ...string) string {
	return `{images: [{glob: "` + strings.Join(texts, `"}, {glob: "`) + `"}], authorities: [` + signed + `]}`
}

func TestGlobs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, glob, rule, message, fix string }{
		{name: "a tight glob", glob: "ghcr.io/acme/app@*"},
		{name: "all below a path", glob: "ghcr.io/acme/**"},
		{name: "everything", glob: "**"},
		{name: "a prefix that says that it is one", glob: "quay.io/acme/team-*"},
		{name: "a registry with a port", glob: "registry:5000/app/**"},
		{
			"GLOB-4: a tag", "ghcr.io/acme/app:v1", "unreachable-glob",
			"names end with a digest, the tag is gone before globs are asked", "write ghcr.io/acme/app@*",
		}, {
			"GLOB-4: any tag", "ghcr.io/acme/app:*", "unreachable-glob",
			"names end with a digest, the tag is gone before globs are asked", "write ghcr.io/acme/app@*",
		}, {
			"GLOB-4: a repository alone", "ghcr.io/acme/app", "unreachable-glob",
			"names end with a digest, as in host/repository@sha256:…", "write ghcr.io/acme/app@*",
		}, {
			"GLOB-4: a tag behind a port", "registry:5000/app:v1", "unreachable-glob",
			"names end with a digest, the tag is gone before globs are asked", "write registry:5000/app@*",
		}, {
			"half a digest", "ghcr.io/acme/app@sha256:0123", "unreachable-glob",
			"a digest is sha256: and 64 hex digits", "write ghcr.io/acme/app@*",
		}, {
			"GLOB-6: the alias of Docker Hub", "docker.io/**", "unreachable-glob",
			"the host of Docker Hub's images is index.docker.io", "write index.docker.io/**",
		}, {
			"GLOB-6: an official image", "docker.io/nginx:1", "unreachable-glob",
			"the host of Docker Hub's images is index.docker.io", "write index.docker.io/library/nginx@*",
		}, {
			"GLOB-3: a short name is not completed", "nginx*", "unreachable-glob",
			"names begin with a host, and those of Docker Hub with index.docker.io", "write index.docker.io/library/nginx@*",
		}, {
			"GLOB-3: nor is one with a namespace", "acme/app", "unreachable-glob",
			"names begin with a host, and those of Docker Hub with index.docker.io", "write index.docker.io/acme/app@*",
		}, {
			"an official image without its namespace", "index.docker.io/nginx@*", "unreachable-glob",
			"the official images of Docker Hub are in library/", "write index.docker.io/library/nginx@*",
		}, {
			"a repository in upper case", "ghcr.io/Acme/**", "unreachable-glob",
			"repositories are in lower case", "write ghcr.io/acme/**",
		}, {
			"GLOB-7: a star after a name", "ghcr.io/acme/app*", "glob-too-wide",
			"ghcr.io/acme/app-evil", "write ghcr.io/acme/app@*, and ghcr.io/acme/app/** for all below it",
		}, {
			"GLOB-7: two stars after a name", "ghcr.io/acme**", "glob-too-wide",
			"ghcr.io/acme-evil", "write ghcr.io/acme@*, and ghcr.io/acme/** for all below it",
		}, {
			"GLOB-7: a star in a host", "ghcr.io**", "glob-too-wide",
			"ghcr.io.evil.example/app", "write ghcr.io/**",
		}, {
			"GLOB-7: a star in a host before a path", "ghcr.io*/acme/**", "glob-too-wide",
			"ghcr.io.evil.example/acme/app", "write ghcr.io/acme/**",
		}, {
			"GLOB-7: a star within", "gcr.io/*/app*", "glob-too-wide",
			"gcr.io/app/app-evil", "write gcr.io/*/app@*, and gcr.io/*/app/** for all below it",
		}, {
			"GLOB-7: stars on both sides", "**demo**", "glob-too-wide",
			"evil.example/demo-evil", "write **/demo@*, and **/demo/** for all below it",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var want []string
			switch tt.rule {
			case "unreachable-glob":
				want = []string{"error unreachable-glob p spec.images[0].glob | " + tt.glob + " matches no image: " + tt.message + " | " + tt.fix}
			case "glob-too-wide":
				want = []string{"warning glob-too-wide p spec.images[0].glob | " + tt.glob + " also matches " + tt.message + " | " + tt.fix}
			}
			if diff := cmp.Diff(want, said(run(t, policy("p", globs(tt.glob))))); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// identities is a policy that accepts two expressions.
func identities(issuer, subject string) string {
	return policy("p", `{images: [{glob: "**"}], authorities: [{keyless: {identities: [{issuerRegExp: '`+issuer+`', subjectRegExp: '`+subject+`'}]}}]}`)
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	const path, issuer = "spec.authorities[0].keyless.identities[0]", `^https://issuer\.example$`
	subject := func(rest string) []string {
		return []string{"warning unanchored-identity p " + path + ".subjectRegExp | " + rest}
	}
	for _, tt := range []struct {
		name, issuer, subject string
		want                  []string
	}{
		{"KLS-3: anchored at both ends", issuer, `^https://github\.com/acme/.*$`, nil},
		{"KLS-3: anchored in every branch", issuer, `^https://a\.example/b$|^https://c\.example/d$`, nil},
		{"KLS-3: anchored around the branches", issuer, `^(?:me|you)@acme\.example$`, nil},
		{"KLS-3: open at its end by .*", issuer, `^https://github\.com/acme/.*`, nil},
		{"KLS-3: open at its beginning on purpose", issuer, `^.*@acme\.example$`, nil},
		{
			"KLS-3: not anchored", issuer, `me@acme\.example`,
			subject(`me@acme\.example matches any part of the value: anything may come before and after | write ^me@acme\.example$`),
		}, {
			"KLS-3: without ^", issuer, `https://github\.com/acme/.*`,
			subject(`https://github\.com/acme/.* may begin anywhere in the value: anything may come before | write ^https://github\.com/acme/.*$`),
		}, {
			"KLS-3: without $", issuer, `^https://github\.com/acme`,
			subject(`^https://github\.com/acme may end anywhere in the value: anything may follow | write ^https://github\.com/acme$`),
		}, {
			"KLS-3: the beginning of a URL", issuer, `^https://github\.com/acme/`,
			subject(`^https://github\.com/acme/ may end anywhere in the value: anything may follow | write ^https://github\.com/acme/.*$`),
		}, {
			"KLS-3: with .* for an anchor", issuer, `.*@acme\.example`,
			subject(`.*@acme\.example matches any part of the value: anything may come before and after | write ^.*@acme\.example$, with what the value begins with instead of .*`),
		}, {
			"KLS-3: anchored in one branch", issuer, `^me@acme\.example|you@acme\.example$`,
			subject(`^me@acme\.example|you@acme\.example$ is not anchored in every branch: | binds weaker than ^ and $ | write ^(?:me@acme\.example|you@acme\.example)$`),
		}, {
			"KLS-3: anchored to lines", issuer, `(?m)^me@acme\.example$`,
			subject(`(?m)^me@acme\.example$ matches any part of the value: anything may come before and after | begin every branch with ^ and end it with $`),
		}, {
			"a dot in a host", issuer, `^https://github.com/acme/.github/.*$`,
			[]string{"note unescaped-dot p " + path + `.subjectRegExp | ^https://github.com/acme/.github/.*$ has a host with an unescaped dot, which stands for any character | write ^https://github\.com/acme/.github/.*$`},
		}, {
			"any subject", issuer, `.*`,
			[]string{"error any-identity p " + path + ".subjectRegExp | .* matches every subject: anybody with an account at the issuer satisfies it | write the subject that signs"},
		}, {
			"any issuer", `^.+$`, `^me@acme\.example$`,
			[]string{"warning any-identity p " + path + ".issuerRegExp | ^.+$ matches every issuer: another issuer may vouch for the same subject | write issuer, as in issuer: https://token.actions.githubusercontent.com"},
		}, {
			"anybody, in ways that do not look like it", `x*`, `a?|b`,
			[]string{"error any-identity p " + path + " | anybody who can get a certificate satisfies it | write the issuer, and the subject that signs"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, said(run(t, identities(tt.issuer, tt.subject)))); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestManyPolicies lints more than a cluster has; the bound of a search keeps it from
// taking for ever.
func TestManyPolicies(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 200 {
		many.WriteString("---\n" + policy(fmt.Sprintf("p%d", i), `{images: [{glob: "ghcr.io/acme-`+strings.Repeat("*-", i%40)+`x/**"}], `+
			`match: [{version: v1, resource: pods}], authorities: [{static: {action: `+[]string{"pass", "fail"}[i%2]+`}}]}`))
	}
	many.WriteString("---\n" + policy("globs", globs(slices.Repeat([]string{"ghcr.io/acme/app*"}, 2_000)...)))
	start := time.Now()
	findings := run(t, many.String())
	if len(findings) < 2_000 {
		t.Errorf("got %d findings, want one for each glob at least", len(findings))
	}
	t.Logf("%d findings in %s", len(findings), time.Since(start))
}

// FuzzRun wants of every stream that is read the same findings twice, each of a
// rule that there is and of a line.
func FuzzRun(f *testing.F) {
	f.Add([]byte(policy("p", globs("docker.io/**", "a*", "**demo**"))))
	f.Add([]byte(identities("a|^b$", ".*")))
	f.Add([]byte(`{"apiVersion":"policy.sigstore.dev/v1beta1","kind":"ClusterImagePolicy","metadata":{"name":"p"},` +
		`"spec":{"images":[{"glob":"*"}],"match":[{"resource":"pods"}],"authorities":[{"static":{"action":"pass"}}],"policy":{"type":"cue","data":"a: 1"}}}`))
	known := map[string]bool{}
	for _, rule := range lint.Rules() {
		known[rule.ID] = true
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := lint.Parse("f", data)
		if err != nil {
			return
		}
		findings := lint.Run([]lint.File{file})
		for _, finding := range findings {
			if !known[finding.Rule] || finding.Line < 1 || finding.Path == "" || finding.Fix == "" {
				t.Errorf("got finding %+v, want one of a known rule with its place and fix", finding)
			}
		}
		if diff := cmp.Diff(findings, lint.Run([]lint.File{file})); diff != "" {
			t.Errorf("second run (-want +got):\n%s", diff)
		}
	})
}

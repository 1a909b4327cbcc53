package lint

import "slices"

// Rule is one kind of finding.
type Rule struct {
	// ID names the rule in output and in annotations.
	ID string
	// Severity is that of its findings, unless one of them is milder.
	Severity Severity
	// Summary is one line without a full stop.
	Summary string
	// Why says what goes wrong.
	Why string
}

// The ids of the rules.
const (
	ruleUnreachable  = "unreachable-glob"
	ruleTooWide      = "glob-too-wide"
	ruleUnanchored   = "unanchored-identity"
	ruleUnescaped    = "unescaped-dot"
	ruleAnyIdentity  = "any-identity"
	ruleWorkloads    = "match-leaves-workloads"
	ruleMatchNothing = "match-nothing"
	ruleDuplicate    = "duplicate-name"
	rulePredicate    = "deprecated-predicate-type"
	ruleNoLog        = "no-log"
	ruleEmptyField   = "empty-field"
	ruleStaticWide   = "static-pass-wide"
	ruleStaticBeside = "static-pass-beside"
	ruleExemption    = "static-pass-exempts-nothing"
	ruleTrustRoot    = "trust-root-missing"
	ruleReference    = "reference-missing"
	ruleCUE          = "cue-missing-fields"
	ruleRego         = "rego-or-semantics"
	ruleRaw          = "rego-fails"
	ruleUnasked      = "rego-unasked"
	ruleIgnore       = "unknown-ignore"
)

// Rules lists the rules in the order of their page in the documentation.
func Rules() []Rule {
	return []Rule{
		{ruleUnreachable, Error, "The glob matches no image",
			"Globs are asked about host/repository@sha256:… with the full host. Tags are gone by then, and Docker Hub is index.docker.io."},
		{ruleTooWide, Warning, "The glob matches neighbours too",
			"A star after part of a name goes on to other names: ghcr.io/acme/app* matches ghcr.io/acme/app-evil as well."},
		{ruleUnanchored, Warning, "The identity expression matches parts of other identities",
			"Identity expressions match any part of the value unless they begin with ^ and end with $."},
		{ruleUnescaped, Note, "A dot in a host stands for any character",
			`In an expression github.com also matches githubXcom; a dot is written \.`},
		{ruleAnyIdentity, Error, "The identity expression matches everybody",
			"Anybody can get a certificate from a public Fulcio, so an identity that matches everybody verifies nothing."},
		{ruleWorkloads, Warning, "The match covers Pods or the workloads that make them, not both",
			"A Deployment is judged before its Pods exist. What no policy matches is denied, or admitted unchecked."},
		{ruleMatchNothing, Error, "The match entry matches no object",
			"An entry without resource or version, or with another group than that of its resource, never applies."},
		{ruleDuplicate, Error, "A name is given twice",
			"Policies over authorityMatches see one authority or attestation of a name, and a cluster has one resource of a name."},
		{rulePredicate, Warning, "The predicate type is not a URI",
			"Short names and types without a scheme are deprecated by policy-controller, which warns of them."},
		{ruleNoLog, Note, "No transparency log is checked",
			"Without a log nobody notices what a stolen key signed, and a certificate is good for ten minutes only."},
		{ruleEmptyField, Warning, "The field demands nothing",
			"A ctlog or timestamp without url and trustRootRef reads like a demand and is none."},
		{ruleStaticWide, Warning, "A static pass admits images of any registry",
			"Whoever may name an image chooses its registry. A static pass for all of them is no policy."},
		{ruleStaticBeside, Error, "A static pass makes the other authorities pointless",
			"One authority suffices, and a static pass always does."},
		{ruleExemption, Warning, "A static pass exempts from no other policy",
			"An image has to satisfy every policy that matches it."},
		{ruleTrustRoot, Warning, "The TrustRoot is not among the given files",
			"An authority that names a TrustRoot which does not exist fails for every image."},
		{ruleReference, Warning, "The Secret or ConfigMap is not among the given files",
			"What a policy refers to is read from the files beside it. Where it is missing, what needs it fails for every image."},
		{ruleCUE, Note, "The CUE policy passes when fields are absent",
			"CUE unifies: a regular field that the document lacks is no conflict."},
		{ruleRego, Note, "The Rego policy passes when any of its answers does, or fails for a warning",
			"The first answer with result true ends the evaluation, and a passing answer with a warning counts as failed."},
		{ruleRaw, Error, "The policy in Rego fails whatever it judges",
			"A policy that does not compile denies everything, or warns of everything where its text says mode := warn."},
		{ruleUnasked, Error, "The Rego denies, and nobody asks it",
			"Policies are the packages policies.NAME and kubernetes.admission. Every other one is a library, which is nothing until a policy imports it."},
		{ruleIgnore, Error, "The annotation ignores a rule that does not exist",
			"A mistyped rule silences nothing."},
	}
}

func ruleOf(id string) (Rule, bool) {
	rules := Rules()
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if i < 0 {
		return Rule{}, false
	}
	return rules[i], true
}

func severityOf(id string) Severity {
	rule, _ := ruleOf(id)
	return rule.Severity
}

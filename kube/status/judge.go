package status

import (
	"maps"

	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
)

// Judge is what became of each policy and trust root: what loading them said, under kind
// and name ("ClusterImagePolicy release"), and what the cluster itself says: which of them
// could not be read, and what they refer to that is not there or not up to date.
func Judge(o watch.Objects, loaded map[string]Outcome) []Judged {
	refused := map[string]watch.Refused{}
	for _, r := range o.Refused {
		refused[r.Kind+" "+r.Name] = r
	}
	there := map[watch.Reference]bool{}
	for _, root := range o.TrustRoots {
		there[watch.Reference{Kind: rootKind, Name: root.Name}] = true
	}
	policies := map[string]cip.Policy{}
	for _, p := range o.Policies {
		policies[p.String()] = p
	}
	var out []Judged
	for _, seen := range o.Seen {
		outcome := loaded[seen.Kind+" "+seen.Name]
		if r, ok := refused[seen.Kind+" "+seen.Name]; ok {
			outcome = Outcome{Invalid: r.Cause, MatchedImages: outcome.MatchedImages}
			if r.Serving {
				outcome.Invalid += ", the last version that could be read serves"
			}
		} else if policy, ok := policies[seen.Kind+" "+seen.Name]; ok {
			outcome.refersTo(policy, refused, there)
		}
		out = append(out, Judged{Seen: seen, Outcome: outcome})
	}
	return out
}

const rootKind = "TrustRoot"

// refersTo adds what is wrong with what a policy refers to. That a Secret does not exist is
// said by whoever looks for it.
func (o *Outcome) refersTo(p cip.Policy, refused map[string]watch.Refused, there map[watch.Reference]bool) {
	o.Unresolved, o.Stale = maps.Clone(o.Unresolved), append([]string(nil), o.Stale...)
	unresolved := func(r watch.Reference, cause string) {
		if o.Unresolved == nil {
			o.Unresolved = map[string]string{}
		}
		o.Unresolved[r.String()] = cause
	}
	for _, r := range watch.References(p) {
		switch refusal, bad := refused[r.String()]; {
		case bad && refusal.Serving:
			o.Stale = append(o.Stale, refusal.String())
		case bad:
			unresolved(r, refusal.Cause)
		case r.Kind == rootKind && !there[r]:
			unresolved(r, "not found")
		}
	}
}

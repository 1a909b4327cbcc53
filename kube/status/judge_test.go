package status

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/kube/watch"
	"github.com/assay-dev/assay/rego/cip"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	seen := func(kind, name string) watch.Seen { return watch.Seen{Kind: kind, Name: name} }
	keyed := func(name, secret string) cip.Policy {
		return cip.Policy{Name: name, Spec: cip.Spec{Authorities: []cip.Authority{{Key: &cip.KeyRef{SecretRef: &cip.SecretRef{Name: secret}}}}}}
	}
	rooted := func(name, certificates, log string) cip.Policy {
		return cip.Policy{Name: name, Spec: cip.Spec{Authorities: []cip.Authority{{
			Keyless: &cip.KeylessRef{TrustRootRef: certificates}, CTLog: &cip.TLog{TrustRootRef: log},
		}}}}
	}
	objects := watch.Objects{
		Policies: []cip.Policy{
			keyed("bad", "lost"), keyed("good", "key"), keyed("missing", "none"), keyed("stale", "lost"), keyed("too-much", "beyond"),
			rooted("trusting", "own", "edited"), rooted("unfounded", "nowhere", "never"),
		},
		TrustRoots: []cip.TrustRoot{{Name: "own"}, {Name: "edited"}},
		Secrets:    []cip.Secret{{Name: "key"}, {Name: "lost"}},
		Refused: []watch.Refused{
			{Kind: "ClusterImagePolicy", Name: "bad", Cause: "got x"},
			{Kind: "Secret", Name: "beyond", Cause: "too many"},
			{Kind: "Secret", Name: "lost", Cause: "was deleted", Serving: true},
			{Kind: "TrustRoot", Name: "edited", Cause: "got y", Serving: true},
			{Kind: "TrustRoot", Name: "never", Cause: "got z"},
		},
		Seen: []watch.Seen{
			seen("ClusterImagePolicy", "bad"), seen("ClusterImagePolicy", "good"), seen("ClusterImagePolicy", "missing"),
			seen("ClusterImagePolicy", "stale"), seen("ClusterImagePolicy", "too-much"), seen("ClusterImagePolicy", "trusting"),
			seen("ClusterImagePolicy", "unfounded"), seen("TrustRoot", "edited"), seen("TrustRoot", "never"), seen("TrustRoot", "own"),
		},
	}
	gap := map[string]string{"spec.authorities[0]": `secret "none" not found`}
	loaded := map[string]Outcome{
		"ClusterImagePolicy bad":     {Unresolved: map[string]string{"spec.authorities[0]": "the policy cannot be read"}, MatchedImages: 3},
		"ClusterImagePolicy missing": {Unresolved: gap},
	}
	want := map[string]Outcome{
		"bad":       {Invalid: "got x", MatchedImages: 3},
		"good":      {},
		"missing":   {Unresolved: gap},
		"stale":     {Stale: []string{"Secret lost: was deleted, the last version that could be read serves"}},
		"too-much":  {Unresolved: map[string]string{"Secret beyond": "too many"}},
		"trusting":  {Stale: []string{"TrustRoot edited: got y, the last version that could be read serves"}},
		"unfounded": {Unresolved: map[string]string{"TrustRoot never": "got z", "TrustRoot nowhere": "not found"}},
		"edited":    {Invalid: "got y, the last version that could be read serves"},
		"never":     {Invalid: "got z"},
		"own":       {},
	}
	got := map[string]Outcome{}
	for _, j := range Judge(objects, loaded) {
		got[j.Name] = j.Outcome
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if len(gap) != 1 {
		t.Errorf("got %v, want what was given left as it is", gap)
	}
}

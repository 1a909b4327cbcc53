package suite

import (
	"strings"
	"testing"
)

// TestFilesOfPoliciesInRego: what decides cases is what --policy would serve, once.
func TestFilesOfPoliciesInRego(t *testing.T) {
	t.Parallel()
	const story = `
-- policies/team.rego --
package policies.team

import data.approved

deny contains "no team" if not input.request.object.metadata.labels.team in approved.teams
-- policies/data.json --
{"approved": {"teams": ["payments"]}}
-- policies/.drafts/deny.rego --
package policies.drafts

deny contains "a draft decided"
-- policies/.drafts/approved/data.json --
{"teams": ["drafts"]}
-- policies/.later.rego --
package policies.later

deny contains "a draft decided"
-- policies/team_test.yaml --
world: {registry: ghcr.io, images: {app: {}}}
config: {noMatch: allow}
cases:
- name: a team
  resource: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {team: payments}}, spec: {containers: [{name: a, image: "${app}"}]}}
  want: allowed
- name: a team of a draft
  resource: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {team: drafts}}, spec: {containers: [{name: a, image: "${app}"}]}}
  want: denied
`
	for _, tt := range []struct {
		name, files string
		args        []string
	}{
		{"drafts in what begins with a dot", story, []string{"policies"}},
		{"a file that was named twice", strings.ReplaceAll(story, "-- policies/", "-- "), []string{".", "data.json", "team.rego"}},
		{"a bundle that does not lie here", strings.ReplaceAll(story, "-- policies/", "-- of/ours/"), []string{"--bundle", "of/ours"}},
		{"a directory whose own name begins with a dot", strings.ReplaceAll(story, "-- policies/", "-- .policies/"), []string{".policies"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := assay(t, unpacked(t, tt.files), tt.args...); got.Code != exitPassed || !strings.Contains(got.Output, "PASS: 2/2") {
				t.Errorf("got %+v, want 2 cases that pass", got)
			}
		})
	}
}

package chart_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWhoMayReachThePort: without values, everybody, for nothing says in every cluster which
// addresses the API server has. Metrics open nothing by themselves.
func TestWhoMayReachThePort(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ values, want string }{
		"by default":                     {"{}", "null"},
		"with peers for metrics alone":   {"{networkPolicy: {metricsFrom: [{podSelector: {}}]}}", "null"},
		"the addresses of an API server": {"{networkPolicy: {apiServer: [10.0.0.1/32, 'fd00::1/128']}}", `[{"ipBlock":{"cidr":"10.0.0.1/32"}},{"ipBlock":{"cidr":"fd00::1/128"}}]`},
		"and metrics":                    {"{networkPolicy: {apiServer: [10.0.0.1/32], metricsFrom: [{podSelector: {}}]}}", `[{"ipBlock":{"cidr":"10.0.0.1/32"}},{"podSelector":{}}]`},
		"Pods that stand for it":         {"{networkPolicy: {apiServerPods: [{namespaceSelector: {}}]}}", `[{"namespaceSelector":{}}]`},
		"all but Pods": {"{networkPolicy: {podCIDRs: [10.1.0.0/16, 10.2.0.0/16]}}",
			`[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.1.0.0/16","10.2.0.0/16"]}},{"ipBlock":{"cidr":"::/0"}}]`},
		"all but Pods, of both families, and metrics": {"{networkPolicy: {podCIDRs: [10.1.0.0/16, 'fd00::/48'], metricsFrom: [{podSelector: {}}]}}",
			`[{"ipBlock":{"cidr":"0.0.0.0/0","except":["10.1.0.0/16"]}},{"ipBlock":{"cidr":"::/0","except":["fd00::/48"]}},{"podSelector":{}}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want any
			if err := json.Unmarshal([]byte(test.want), &want); err != nil {
				t.Fatal(err)
			}
			policy := render(t, test.values)["NetworkPolicy/assay"]
			if diff := cmp.Diff(want, at(policy, "spec", "ingress", 0, "from")); diff != "" {
				t.Errorf("from (-want +got):\n%s", diff)
			}
		})
	}
}

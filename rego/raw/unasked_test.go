package raw_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/rego/raw"
)

func TestWhatReadsLikeAPolicyAndIsNoneIsTold(t *testing.T) {
	t.Parallel()
	const asks = "package policies.asks\n\ndeny contains x if some x in data.lib.one.deny\n"
	for _, test := range []struct {
		name    string
		modules map[string]string
		want    []raw.Unasked
	}{
		{"conftest's package", map[string]string{"main.rego": "package main\n\ndeny contains \"no\"\n"}, []raw.Unasked{{"main", "deny", "main.rego", 3}}},
		{"a misspelt package", map[string]string{"p.rego": "package policy.labels\n\nx := 1\n\nwarn contains \"no\"\n"}, []raw.Unasked{{"policy.labels", "warn", "p.rego", 5}}},
		{"Gatekeeper's rule", map[string]string{"g.rego": "package k8srequiredlabels\n\nviolation contains {\"msg\": \"no\"}\n"}, []raw.Unasked{{"k8srequiredlabels", "violation", "g.rego", 3}}},
		{"a part of a rule", map[string]string{"a.rego": "package a\n\ndeny.more contains \"no\"\n"}, []raw.Unasked{{"a", "deny", "a.rego", 3}}},
		{"a library of a policy", map[string]string{"a.rego": asks, "one.rego": "package lib.one\n\ndeny contains \"no\"\n"}, nil},
		{"a library of another name than the policy's", map[string]string{"a.rego": asks, "one.rego": "package lib.one\n\ndeny contains \"no\"\n", "two.rego": "package lib.two\n\ndeny contains \"no\"\n"}, []raw.Unasked{{"lib.two", "deny", "two.rego", 3}}},
		{"a function", map[string]string{"a.rego": "package a\n\ndeny(x) if x\n"}, nil},
		{"a library that says nothing", map[string]string{"a.rego": "package a\n\nallow := true\n"}, nil},
		{"a policy", map[string]string{"a.rego": "package policies.a\n\ndeny contains \"no\"\n"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := compile(t, raw.Source{Modules: test.modules}).Unasked()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

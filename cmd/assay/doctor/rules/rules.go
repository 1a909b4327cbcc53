// Package rules compares what API servers ask about with what they are to ask about.
package rules

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
)

// Everything says whether a selector leaves nothing out.
func Everything(s *metav1.LabelSelector) bool {
	return s == nil || len(s.MatchLabels)+len(s.MatchExpressions) == 0
}

// Missing are the operations on resources that are wanted and not asked about. Those of
// a group that the API server does not serve are none.
func Missing(wanted, found []shape.Rule, groups []string) (out []string) {
	for _, want := range wanted {
		group := want.APIGroups[0]
		if group != "" && !slices.Contains(groups, group) {
			continue
		}
		for _, resource := range want.Resources {
			for _, version := range want.APIVersions {
				for _, operation := range want.Operations {
					if !slices.ContainsFunc(found, func(r shape.Rule) bool {
						return scoped(want, r) && covers(r, group, version, resource, operation)
					}) {
						out = append(out, strings.Trim(fmt.Sprintf("%s %s.%s", operation, resource, group), "."))
					}
				}
			}
		}
	}
	return slices.Compact(out)
}

// scoped says whether a rule is about objects that have a namespace, or have none, as another is.
func scoped(want, got shape.Rule) bool {
	return got.Scope == "" || got.Scope == "*" || got.Scope == want.Scope
}

// covers says whether a rule asks about an operation, as API servers read it.
func covers(r shape.Rule, group, version, resource, operation string) bool {
	main, sub, _ := strings.Cut(resource, "/")
	resources := []string{resource, "*/*"}
	if sub == "" {
		resources = append(resources, "*")
	} else {
		resources = append(resources, main+"/*", "*/"+sub)
	}
	return anyOf(r.APIGroups, group, "*") && anyOf(r.APIVersions, version, "*") && anyOf(r.Resources, resources...) &&
		anyOf(r.Operations, operation, "*")
}

func anyOf(list []string, wanted ...string) bool {
	return slices.ContainsFunc(list, func(of string) bool { return slices.Contains(wanted, of) })
}

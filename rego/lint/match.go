package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
)

// workloads are those that make Pods and that the webhook is asked about.
func workloads() []string {
	return []string{"deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs"}
}

// matches looks at which kinds of objects a policy is for.
func (l *linter) matches() {
	spec := &l.subject.policy.Spec
	for i, m := range spec.Match {
		l.matchNothing(at("spec.match", i), m)
	}
	if len(spec.Match) == 0 {
		return
	}
	var missing []string
	covered := 0
	for _, resource := range workloads() {
		if covers(spec, resource) {
			covered++
		} else {
			missing = append(missing, resource)
		}
	}
	pods := covers(spec, "pods")
	if pods {
		missing = l.nowhere(missing)
	}
	switch {
	case pods && len(missing) > 0 && readsSpec(spec):
		// What workloads have in spec is another thing than what Pods have.
		l.reportAs(Note, ruleWorkloads, "spec.match", "have another policy for the same images, without match",
			"covers pods and not %s: these are judged before their Pods exist, and none of the given policies matches them", list(missing))
	case pods && len(missing) > 0:
		l.report(ruleWorkloads, "spec.match", fixMatch(missing),
			"covers pods and not %s: these are judged before their Pods exist, and none of the given policies matches them", list(missing))
	case !pods && covered > 0 && len(l.nowhere([]string{"pods"})) > 0:
		l.report(ruleWorkloads, "spec.match", fixMatch([]string{"pods"}),
			"covers workloads and not pods: neither their Pods, nor Pods that are created directly, match the policy")
	}
}

func readsSpec(spec *cip.Spec) bool {
	return spec.Policy != nil && spec.Policy.IncludeSpec != nil && *spec.Policy.IncludeSpec
}

func fixMatch(resources []string) string {
	var entries []string
	for _, resource := range resources {
		group, _ := cip.HomeGroup(resource)
		entries = append(entries, fmt.Sprintf("{group: %q, version: v1, resource: %s}", group, resource))
	}
	return "add " + strings.Join(entries, ", ") + ", or leave match out"
}

// covers says whether any entry is about a resource, whatever its selector.
func covers(spec *cip.Spec, resource string) bool {
	group, _ := cip.HomeGroup(resource)
	return len(spec.Match) == 0 || slices.ContainsFunc(spec.Match, func(m cip.Match) bool {
		return m.Resource == resource && m.Group == group && (m.Version == "v1" || m.Version == "*")
	})
}

// nowhere leaves those resources that no other policy covers for any of the images.
func (l *linter) nowhere(resources []string) []string {
	for _, other := range l.all {
		if len(resources) == 0 {
			break
		}
		if other.policy == l.subject.policy {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(resources), func(r string) bool { return covers(&other.policy.Spec, r) })
		if len(rest) < len(resources) && l.mayOverlap(l.subject, other) {
			resources = rest
		}
	}
	return resources
}

// matchNothing finds an entry that no object can satisfy (MATCH-1, MATCH-2).
func (l *linter) matchNothing(path string, m cip.Match) {
	if m.Resource == "" {
		l.report(ruleMatchNothing, path, "write a resource, as in resource: pods", "names no resource: it matches nothing")
	}
	if m.Version == "" {
		l.report(ruleMatchNothing, path, `write a version, as in version: v1, or "*" for any`, "names no version: it matches nothing")
	}
	home, known := cip.HomeGroup(m.Resource)
	if !known || m.Group == home || strings.Contains(m.Group, ".") {
		return
	}
	l.report(ruleMatchNothing, path+".group", fmt.Sprintf("write group: %q", home),
		"group %q has no %s: it matches nothing", m.Group, m.Resource)
}

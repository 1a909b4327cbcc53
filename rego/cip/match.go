package cip

import "strings"

func (v *validation) match(path string, m Match) {
	if m.Resource != "" && !knownResource(m) {
		v.invalid(m.Resource, path+".resource", "unsupported resource name")
	}
	if m.Selector != nil {
		if m.Resource == "" && m.Version == "" && m.Group == "" {
			v.invalid("", path+".selector", "selector requires a resource type to match the labels")
		}
		for i, requirement := range m.Selector.MatchExpressions {
			v.requirement(at(path+".selector.matchExpressions", i), requirement)
		}
	}
}

// knownResource checks the names of Kubernetes' own workloads.
//
// Upstream's webhook knows seven resources whatever their group, and its tester
// knows none and accepts all. Here a group with a dot in it is taken for that of
// a custom resource, and the two built-in workloads that upstream's webhook does
// not look at are known as well.
func knownResource(m Match) bool {
	_, known := HomeGroup(m.Resource)
	return known || strings.Contains(m.Group, ".")
}

// HomeGroup returns the group of one of Kubernetes' own workloads.
func HomeGroup(resource string) (group string, known bool) {
	switch resource {
	case "pods", "podtemplates", "replicationcontrollers":
		return "", true
	case "deployments", "replicasets", "statefulsets", "daemonsets":
		return "apps", true
	case "jobs", "cronjobs":
		return "batch", true
	}
	return "", false
}

// requirement is ours: upstream stores a bad one and then fails every request.
func (v *validation) requirement(path string, r LabelRequirement) {
	if r.Key == "" {
		v.missing(path + ".key")
	}
	switch r.Operator {
	case "In", "NotIn":
		if len(r.Values) == 0 {
			v.missing(path + ".values")
		}
	case "Exists", "DoesNotExist":
		if len(r.Values) > 0 {
			v.add("must not set the field(s)", "", path+".values")
		}
	case "":
		v.missing(path + ".operator")
	default:
		v.invalid(r.Operator, path+".operator", "only [In,NotIn,Exists,DoesNotExist] are supported")
	}
}

package kubernetes.admission

import data.kubernetes.namespaces

operations := {"CREATE", "UPDATE"}

deny contains msg if {
	input.request.kind.kind == "Ingress"
	operations[input.request.operation]
	host := input.request.object.spec.rules[_].host
	not matches_any(host, valid_hosts)
	msg := sprintf("host %q is none of %v", [host, valid_hosts])
}

valid_hosts := {host |
	allowed := namespaces[input.request.namespace].metadata.annotations["ingress-hosts"]
	host := split(allowed, ",")[_]
}

matches_any(host, patterns) if matches(host, patterns[_])

matches(host, pattern) if {
	startswith(pattern, "*.")
	endswith(host, substring(pattern, 1, -1))
}

matches(host, pattern) if {
	not contains(pattern, "*")
	host == pattern
}

package kubernetes.admission

import data.kubernetes.ingresses

deny contains msg if {
	some other_namespace, other_name
	input.request.kind.kind == "Ingress"
	input.request.operation == "CREATE"
	host := input.request.object.spec.rules[_].host
	ingress := ingresses[other_namespace][other_name]
	other_namespace != input.request.namespace
	ingress.spec.rules[_].host == host
	msg := sprintf("host %q is that of ingress %v/%v", [host, other_namespace, other_name])
}

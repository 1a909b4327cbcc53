package kubernetes.admission

required_labels := {"team", "cost-center"}

deny contains msg if {
	input.request.kind.kind == "Namespace"
	input.request.operation in {"CREATE", "UPDATE"}
	missing := required_labels - object.keys(object.get(input.request.object.metadata, "labels", {}))
	count(missing) > 0
	msg := sprintf("namespace %v lacks the labels %v", [input.request.object.metadata.name, sort(missing)])
}

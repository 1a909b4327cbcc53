package kubernetes.admission

deny contains msg if {
	input.request.kind.kind == "Pod"
	some container in input.request.object.spec.containers
	not startswith(container.image, "registry.acme.example/")
	msg := sprintf("container %v runs %v, which is not of registry.acme.example", [container.name, container.image])
}

# METADATA
# title: Kinds
# description: Which kinds of Kubernetes name no image.
package assay.kinds

# METADATA
# title: Without images
# description: |
#   Whether a kind is one of Kubernetes' own that names no image. Where there are
#   policies in plain Rego they judge it alone; without any, there is nobody to
#   judge it. Kinds that are not listed may keep an image anywhere.
imageless(kind) if {
	count(data.assay.raw_policies) > 0
	kind.kind in _imageless[kind.group]
}

_imageless := {
	"": {
		"ConfigMap", "Endpoints", "Event", "LimitRange", "Namespace", "Node", "PersistentVolume",
		"PersistentVolumeClaim", "ResourceQuota", "Secret", "Service", "ServiceAccount",
	},
	"admissionregistration.k8s.io": {
		"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration",
		"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
	},
	"apiextensions.k8s.io": {"CustomResourceDefinition"},
	"apiregistration.k8s.io": {"APIService"},
	"autoscaling": {"HorizontalPodAutoscaler"},
	"certificates.k8s.io": {"CertificateSigningRequest", "ClusterTrustBundle"},
	"coordination.k8s.io": {"Lease"},
	"discovery.k8s.io": {"EndpointSlice"},
	"events.k8s.io": {"Event"},
	"extensions": {"Ingress"},
	"flowcontrol.apiserver.k8s.io": {"FlowSchema", "PriorityLevelConfiguration"},
	"networking.k8s.io": {"IPAddress", "Ingress", "IngressClass", "NetworkPolicy", "ServiceCIDR"},
	"node.k8s.io": {"RuntimeClass"},
	"policy": {"PodDisruptionBudget"},
	"rbac.authorization.k8s.io": {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"},
	"scheduling.k8s.io": {"PriorityClass"},
	"storage.k8s.io": {
		"CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass", "VolumeAttachment", "VolumeAttributesClass",
	},
}

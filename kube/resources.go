package kube

import "k8s.io/apimachinery/pkg/runtime/schema"

// ClusterImagePolicies names the resource.
func ClusterImagePolicies() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: SigstoreGroup, Version: "v1alpha1", Resource: "clusterimagepolicies"}
}

// ImagePolicies names the resource.
func ImagePolicies() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: Group, Version: "v1alpha1", Resource: "imagepolicies"}
}

// TrustRoots names the resource.
func TrustRoots() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: SigstoreGroup, Version: "v1alpha1", Resource: "trustroots"}
}

// RegoPolicies names the resource.
func RegoPolicies() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: Group, Version: "v1alpha1", Resource: "regopolicies"}
}

// WorkloadPaths names the resource.
func WorkloadPaths() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: Group, Version: "v1alpha1", Resource: "workloadpaths"}
}

// Secrets names the resource.
func Secrets() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
}

// ConfigMaps names the resource.
func ConfigMaps() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
}

// Namespaces names the resource.
func Namespaces() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
}

// ServiceAccounts names the resource.
func ServiceAccounts() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
}

// Events names the resource.
func Events() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}
}

// Leases names the resource.
func Leases() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
}

// ValidatingWebhooks names the resource.
func ValidatingWebhooks() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
}

// MutatingWebhooks names the resource.
func MutatingWebhooks() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
}

// Definitions names the resource.
func Definitions() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
}

// Deployments names the resource.
func Deployments() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
}

// EndpointSlices names the resource.
func EndpointSlices() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}
}

// Pods names the resource.
func Pods() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "pods"}
}

// AccessReviews names the resource by which is asked what somebody may do.
func AccessReviews() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "subjectaccessreviews"}
}

// SelfAccessReviews names the resource by which whoever asks learns what they may do.
func SelfAccessReviews() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "selfsubjectaccessreviews"}
}

// AdmissionPolicies names the resource.
func AdmissionPolicies() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
}

// AdmissionPolicyBindings names the resource.
func AdmissionPolicyBindings() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings"}
}

// SelfReviews names the resource by which whoever asks learns who they are.
func SelfReviews() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "authentication.k8s.io", Version: "v1", Resource: "selfsubjectreviews"}
}

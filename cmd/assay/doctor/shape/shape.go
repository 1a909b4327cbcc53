// Package shape has of the kinds of a cluster the fields that checks look at, as they stand in
// JSON. k8s.io/api has all of them, and with the Pod and what it refers to costs six megabytes of
// the binary, which is the webhook's too.
package shape

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Namespace is a namespace.
type Namespace struct {
	metav1.ObjectMeta `json:"metadata"`
	Status            struct {
		Phase string `json:"phase"`
	} `json:"status"`
}

// Secret is a Secret.
type Secret struct {
	metav1.ObjectMeta `json:"metadata"`
	Data              map[string][]byte `json:"data"`
}

// Reference names an object of the same namespace.
type Reference struct {
	Name string `json:"name"`
}

// ServiceAccount is a ServiceAccount.
type ServiceAccount struct {
	metav1.ObjectMeta `json:"metadata"`
	ImagePullSecrets  []Reference `json:"imagePullSecrets"`
}

// Container is one of a Pod, of whatever sort.
type Container struct {
	Image        string   `json:"image"`
	Command      []string `json:"command"`
	Args         []string `json:"args"`
	VolumeMounts []Mount  `json:"volumeMounts"`
}

// Mount is where a container has a volume.
type Mount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
}

// Volume is one of a Pod.
type Volume struct {
	Name   string `json:"name"`
	Secret *struct {
		SecretName string `json:"secretName"`
	} `json:"secret"`
	Image *struct {
		Reference string `json:"reference"`
	} `json:"image"`
}

// PodSpec says what a Pod runs.
type PodSpec struct {
	ServiceAccountName  string      `json:"serviceAccountName"`
	ImagePullSecrets    []Reference `json:"imagePullSecrets"`
	InitContainers      []Container `json:"initContainers"`
	Containers          []Container `json:"containers"`
	EphemeralContainers []Container `json:"ephemeralContainers"`
	Volumes             []Volume    `json:"volumes"`
}

// Pod is a Pod.
type Pod struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              PodSpec `json:"spec"`
}

// Deployment is a Deployment.
type Deployment struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Replicas *int32 `json:"replicas"`
		Template struct {
			Spec PodSpec `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		ReadyReplicas int32 `json:"readyReplicas"`
	} `json:"status"`
}

// Lease is a Lease.
type Lease struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		HolderIdentity       string            `json:"holderIdentity"`
		LeaseDurationSeconds int32             `json:"leaseDurationSeconds"`
		RenewTime            *metav1.MicroTime `json:"renewTime"`
	} `json:"spec"`
}

// EndpointSlice is a part of what stands behind a Service.
type EndpointSlice struct {
	Endpoints []Endpoint `json:"endpoints"`
}

// Endpoint is an address behind a Service.
type Endpoint struct {
	Conditions struct {
		Ready *bool `json:"ready"` // nil is true
	} `json:"conditions"`
}

// Role is a Role, or a ClusterRole.
type Role struct {
	metav1.ObjectMeta `json:"metadata"`
	Rules             []struct {
		APIGroups     []string `json:"apiGroups"`
		Resources     []string `json:"resources"`
		ResourceNames []string `json:"resourceNames"`
		Verbs         []string `json:"verbs"`
	} `json:"rules"`
}

// Grant is a RoleBinding, or a ClusterRoleBinding.
type Grant struct {
	RoleRef struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"roleRef"`
}

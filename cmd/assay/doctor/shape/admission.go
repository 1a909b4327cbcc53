package shape

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Configuration is a webhook configuration of either kind.
type Configuration struct {
	metav1.ObjectMeta `json:"metadata"`
	Webhooks          []Webhook `json:"webhooks"`
}

// Webhook is a webhook of either kind. Fields that are not given are as the API server
// presets them.
type Webhook struct {
	Name                    string                `json:"name"`
	ClientConfig            Client                `json:"clientConfig"`
	Rules                   []Rule                `json:"rules"`
	FailurePolicy           string                `json:"failurePolicy"`
	MatchPolicy             string                `json:"matchPolicy"`
	NamespaceSelector       *metav1.LabelSelector `json:"namespaceSelector"`
	ObjectSelector          *metav1.LabelSelector `json:"objectSelector"`
	TimeoutSeconds          int32                 `json:"timeoutSeconds"`
	AdmissionReviewVersions []string              `json:"admissionReviewVersions"`
	ReinvocationPolicy      string                `json:"reinvocationPolicy"`
	MatchConditions         []Expression          `json:"matchConditions"`
}

// Client says where a webhook is.
type Client struct {
	URL      string   `json:"url"`
	Service  *Service `json:"service"`
	CABundle []byte   `json:"caBundle"`
}

// Service is where it is in the cluster.
type Service struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Path      string `json:"path"`
}

// Rule says what is asked about.
type Rule struct {
	APIGroups     []string `json:"apiGroups"`
	APIVersions   []string `json:"apiVersions"`
	Operations    []string `json:"operations"`
	Resources     []string `json:"resources"`
	Scope         string   `json:"scope"`         // "" is *
	ResourceNames []string `json:"resourceNames"` // of policies alone
}

// Expression is one in CEL.
type Expression struct {
	Name       string `json:"name"` // of validations there is none
	Expression string `json:"expression"`
}

// Policy is a ValidatingAdmissionPolicy.
type Policy struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		FailurePolicy    string       `json:"failurePolicy"`
		MatchConstraints *Match       `json:"matchConstraints"`
		MatchConditions  []Expression `json:"matchConditions"`
		Variables        []Expression `json:"variables"`
		Validations      []Expression `json:"validations"`
	} `json:"spec"`
}

// Match says which objects a policy is about.
type Match struct {
	MatchPolicy          string                `json:"matchPolicy"`
	NamespaceSelector    *metav1.LabelSelector `json:"namespaceSelector"`
	ObjectSelector       *metav1.LabelSelector `json:"objectSelector"`
	ResourceRules        []Rule                `json:"resourceRules"`
	ExcludeResourceRules []Rule                `json:"excludeResourceRules"`
}

// Binding is a ValidatingAdmissionPolicyBinding.
type Binding struct {
	Spec struct {
		PolicyName        string          `json:"policyName"`
		ParamRef          *map[string]any `json:"paramRef"`
		MatchResources    *Match          `json:"matchResources"`
		ValidationActions []string        `json:"validationActions"`
	} `json:"spec"`
}

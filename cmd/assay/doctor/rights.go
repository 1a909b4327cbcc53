package doctor

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/assay-dev/assay/cmd/assay/doctor/finding"
	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/kube"
)

// right is something that assay does.
type right struct {
	verb, group, resource, subresource string
	name                               string // "" is any
	namespace                          string // "" is all
}

// String names it as RBAC does.
func (r right) String() string {
	text := r.verb + " " + r.resource
	if r.subresource != "" {
		text += "/" + r.subresource
	}
	if r.group != "" {
		text += "." + r.group
	}
	if r.name != "" {
		text += " " + r.name
	}
	if r.namespace != "" {
		text += " in namespace " + r.namespace
	}
	return text
}

// rightsOf are those of a role.
func rightsOf(role shape.Role, namespace string) (out []right) {
	for _, rule := range role.Rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, of := range rule.Resources {
				resource, sub, _ := strings.Cut(of, "/")
				for _, name := range names {
					for _, verb := range rule.Verbs {
						out = append(out, right{verb, group, resource, sub, name, namespace})
					}
				}
			}
		}
	}
	return out
}

// needed are the rights that an installation needs which is set up like that: its webhook
// configurations have their own names, and what it does not do takes no right.
func needed(all []right, s setup, configurations []string) (out []right) {
	for _, r := range all {
		switch {
		case r.group == kube.ValidatingWebhooks().Group:
			if s.keeps() {
				for _, name := range configurations {
					r.name = name
					out = append(out, r)
				}
			}
		case r.verb == "patch" && r.resource == "secrets":
			if s.keeps() {
				out = append(out, r)
			}
		case r.namespace == "" && (r.resource == "secrets" || r.resource == "serviceaccounts"):
			if s.flag("pull-secrets", "pods") == "pods" {
				out = append(out, r)
			}
		default:
			out = append(out, r)
		}
	}
	return unique(out)
}

func unique(rights []right) (out []right) {
	for _, r := range rights {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

// rights asks the API server what assay may do.
func (d *doctor) rights(ctx context.Context) []finding.Finding {
	account := "system:serviceaccount:" + d.api.Client.Namespace + ":"
	if account += d.setup.account; d.setup.account == "" {
		account += "assay" // that of the manifests
	}
	ask, err := d.judgeOf(ctx, account)
	if err != nil {
		return []finding.Finding{finding.NotChecked(account, err)}
	}
	var missing []right
	wanted := needed(d.expected.rights, d.setup, d.configurations())
	for _, r := range wanted {
		allowed, err := ask(ctx, r)
		if err != nil {
			return []finding.Finding{finding.NotChecked(account, err)}
		}
		if !allowed {
			missing = append(missing, r)
		}
	}
	return judgeRights(account, len(wanted), missing)
}

func judgeRights(account string, asked int, missing []right) (out []finding.Finding) {
	for _, what := range joined(missing) {
		if what == texts() {
			out = append(out, finding.Warned(account, "imagePolicies.readConfigMaps: true, if namespaces are to have such policies", "it may not %s: an ImagePolicy that refers to a ConfigMap fails", what))
			continue
		}
		out = append(out, finding.Failed(account, restore+": they grant it", "it may not %s", what))
	}
	if len(out) == 0 {
		out = append(out, finding.OK(account, "it has all %d rights that it needs", asked))
	}
	return out
}

// texts is a right that an installation does without by a value that is no flag.
func texts() right { return right{verb: "get", resource: kube.ConfigMaps().Resource} }

// joined are rights to the same thing as one, in their order.
func joined(rights []right) (out []right) {
	for _, r := range rights {
		verb := r.verb
		r.verb = ""
		i := slices.IndexFunc(out, func(known right) bool { known.verb = ""; return known == r })
		if r.verb = verb; i < 0 {
			out = append(out, r)
		} else {
			out[i].verb += ", " + verb
		}
	}
	return out
}

// judgeOf is how to ask what a ServiceAccount may. Whoever is it themselves may ask about
// themselves; anybody else needs a right to ask about others.
func (d *doctor) judgeOf(ctx context.Context, account string) (func(context.Context, right) (bool, error), error) {
	self, err := d.asked(ctx, kube.SelfReviews(), "SelfSubjectReview", map[string]any{})
	if err != nil {
		return nil, err
	}
	of, kind := kube.AccessReviews(), "SubjectAccessReview"
	if name, _, _ := unstructured.NestedString(self, "userInfo", "username"); name == account {
		of, kind = kube.SelfAccessReviews(), "SelfSubjectAccessReview"
	}
	return func(ctx context.Context, r right) (bool, error) {
		spec := map[string]any{"resourceAttributes": map[string]any{
			"verb": r.verb, "group": r.group, "resource": r.resource, "subresource": r.subresource, "name": r.name, "namespace": r.namespace,
		}}
		if of == kube.AccessReviews() {
			spec["user"] = account
			spec["groups"] = []any{"system:serviceaccounts", "system:serviceaccounts:" + d.api.Client.Namespace, "system:authenticated"}
		}
		said, err := d.asked(ctx, of, kind, spec)
		allowed, _, _ := unstructured.NestedBool(said, "allowed") // what is no answer allows nothing
		return allowed, err
	}, nil
}

// asked creates a review, and gives its status.
func (d *doctor) asked(ctx context.Context, of schema.GroupVersionResource, kind string, spec map[string]any) (map[string]any, error) {
	answer, err := d.api.Create(ctx, of, "", map[string]any{
		"apiVersion": of.GroupVersion().String(), "kind": kind, "spec": spec,
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	status, _, err := unstructured.NestedMap(answer.Object, "status")
	return status, err
}

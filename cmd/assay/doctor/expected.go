package doctor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/assay-dev/assay/cmd/assay/doctor/shape"
	"github.com/assay-dev/assay/deploy"
	"github.com/assay-dev/assay/kube"
)

// expected is what an installation consists of: the manifests as they are, with its namespace
// in the place of theirs.
type expected struct {
	hooks  []hook
	rights []right
	labels shape.Policy
}

// expect reads what the program carries.
func expect(namespace string) (out expected, err error) {
	err = each(deploy.Webhooks(), func(kind string, document []byte) error {
		var of shape.Configuration
		if err := yaml.Unmarshal(document, &of); err != nil {
			return err
		}
		for i := range of.Webhooks {
			if service := of.Webhooks[i].ClientConfig.Service; service != nil {
				service.Namespace = namespace
			}
		}
		out.hooks = append(out.hooks, hooksOf(kind, of)...)
		return nil
	})
	if err != nil {
		return out, err
	}
	if out.rights, err = granted(namespace); err != nil {
		return out, err
	}
	err = each(deploy.Labels(), func(kind string, document []byte) error {
		if kind != "ValidatingAdmissionPolicy" {
			return nil
		}
		return yaml.Unmarshal(document, &out.labels)
	})
	return out, err
}

// granted are the rights of the roles that are bound to assay. Others are for people.
func granted(namespace string) (out []right, err error) {
	roles, bound := map[string][]right{}, []string{}
	err = each(deploy.Rights(), func(kind string, document []byte) error {
		var role shape.Role // a ClusterRole reads the same
		var grant shape.Grant
		if err := errors.Join(yaml.Unmarshal(document, &role), yaml.Unmarshal(document, &grant)); err != nil {
			return err
		}
		switch kind {
		case "ClusterRole":
			roles[kind+" "+role.Name] = rightsOf(role, "")
		case "Role":
			roles[kind+" "+role.Name] = rightsOf(role, namespace)
		case "ClusterRoleBinding", "RoleBinding":
			bound = append(bound, grant.RoleRef.Kind+" "+grant.RoleRef.Name)
		}
		return nil
	})
	for _, name := range bound {
		out = append(out, roles[name]...)
	}
	return out, err
}

// defined are the definitions that are wanted.
func defined() (out []definition, err error) {
	for _, document := range deploy.Definitions() {
		var of definition
		if err := yaml.Unmarshal([]byte(document), &of); err != nil {
			return nil, fmt.Errorf("deploy: %w", err)
		}
		out = append(out, of)
	}
	return out, nil
}

// each reads the documents of a file.
func each(file string, of func(kind string, document []byte) error) error {
	for document := range strings.SplitSeq(file, "\n---\n") {
		var head struct {
			Kind string `json:"kind"`
		}
		err := yaml.Unmarshal([]byte(document), &head)
		if err == nil {
			err = of(head.Kind, []byte(document))
		}
		if err != nil {
			return fmt.Errorf("deploy: %s: %w", head.Kind, err)
		}
	}
	return nil
}

// configurations are the names of the webhook configurations to look at: those that somebody
// says, those of the Deployment, or those of the manifests.
func (d *doctor) configurations() []string {
	if len(d.options.webhooks) > 0 {
		return d.options.webhooks
	}
	if names := d.setup.flags["webhook-config"]; len(names) > 0 {
		return names
	}
	return d.expected.names()
}

func (e expected) names() (out []string) {
	for _, h := range e.hooks {
		if !slices.Contains(out, h.in) {
			out = append(out, h.in)
		}
	}
	return out
}

// excluded is the label by which the API server names a namespace.
const excluded = "kubernetes.io/metadata.name"

// included is the namespace that policy-controller's label lets in.
const included = kube.SigstoreGroup + "/include"

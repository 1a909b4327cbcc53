package cip

import (
	"fmt"
	"regexp"
)

// This file holds what an ImagePolicy is beyond a ClusterImagePolicy: the policy of one
// namespace, by somebody who is not trusted beyond it. It reads what its namespace has, and
// nothing is fetched because of it but what its images cause and trust roots of the
// installation.

// The kinds of policies.
const (
	ClusterImagePolicyKind = "ClusterImagePolicy"
	ImagePolicyKind        = "ImagePolicy"
)

// Kind is ClusterImagePolicy or ImagePolicy.
func (p Policy) Kind() string {
	if p.Namespace != "" {
		return ImagePolicyKind
	}
	return ClusterImagePolicyKind
}

// Group is the API group of its kind.
func (p Policy) Group() string {
	if p.Namespace != "" {
		return ownGroup
	}
	return group
}

// String names the policy among all objects.
func (p Policy) String() string { return p.Kind() + " " + p.Name }

// MostOwned bounds an ImagePolicy as an object of a cluster, without status and managed fields.
const MostOwned = 64 << 10

// MostOwnedText bounds the Rego in an ImagePolicy, and in a ConfigMap that it refers to.
const MostOwnedText = 16 << 10

// namespaceName is what an API server takes for the name of a namespace.
var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// owned refuses what the policy of a namespace may not say.
func (v *validation) owned(spec *Spec) {
	switch namespace := v.owner; {
	case namespace == "":
		v.missing("metadata.namespace")
	case !namespaceName.MatchString(namespace):
		v.invalid(fmt.Sprintf("%.80q", namespace), "metadata.namespace", "a lowercase RFC 1123 label of at most 63 characters is expected")
	}
	key := func(path string, k *KeyRef) {
		if k != nil && k.KMS != "" {
			v.add("must not set the field(s)", "a key in a KMS is asked for with the credentials of the installation", path+".kms")
		}
	}
	for i, a := range spec.Authorities {
		path := at("spec.authorities", i)
		key(path+".key", a.Key)
		if a.Keyless != nil {
			key(path+".keyless.ca-cert", a.Keyless.CACert)
		}
		for j, attestation := range a.Attestations {
			v.ownedText(at(path+".attestations", j)+".policy", attestation.Policy)
		}
	}
	v.ownedText("spec.policy", spec.Policy)
}

func (v *validation) ownedText(path string, p *PolicyRef) {
	if p == nil {
		return
	}
	if p.Type == "cue" {
		v.invalid(p.Type, path+".type", "only [rego] is supported in an ImagePolicy: CUE cannot be stopped once it runs")
	}
	if len(p.Data) > MostOwnedText {
		v.add(fmt.Sprintf("too long a policy: got %d bytes, want at most %d", len(p.Data), MostOwnedText), "", path+".data")
	}
	if p.Remote != nil {
		v.add("must not set the field(s)", "a policy behind a URL is fetched from within the network of the installation", path+".remote")
	}
	if c := p.ConfigMapRef; c != nil && c.Namespace != "" && c.Namespace != v.owner {
		v.invalid(c.Namespace, path+".configMapRef.namespace", "want the namespace of the ImagePolicy")
	}
}

package cip

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// This file holds what an ImagePolicy is beyond a ClusterImagePolicy: the policy of one
// namespace, by somebody who is not trusted beyond it. It reads what its namespace has, and
// nothing is fetched because of it that its images do not cause anyway.

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
	if p.Remote != nil {
		v.add("must not set the field(s)", "a policy behind a URL is fetched from within the network of the installation", path+".remote")
	}
	if c := p.ConfigMapRef; c != nil && c.Namespace != "" && c.Namespace != v.owner {
		v.invalid(c.Namespace, path+".configMapRef.namespace", "want the namespace of the ImagePolicy")
	}
}

// Outside says which authorities of an ImagePolicy look for signatures where the
// installation does not allow it, and why, by their paths. allowed are those of
// [ParseSourcePrefix]. Of a ClusterImagePolicy there are none.
func (p Policy) Outside(allowed []string) map[string]string {
	out := map[string]string{}
	if p.Namespace == "" {
		return out
	}
	for i, authority := range p.Spec.Authorities {
		for j, source := range authority.Sources {
			if source.OCI != "" && !within(source.OCI, allowed) {
				out[at("spec.authorities", i)] = fmt.Sprintf(
					"source[%d].oci: got %s, want a repository that the installation allows to an ImagePolicy, or none", j, excerpt(source.OCI))
			}
		}
	}
	return out
}

func within(oci string, allowed []string) bool {
	repository, err := name.NewRepository(oci)
	if err != nil {
		return false
	}
	for _, prefix := range allowed {
		if full := repository.Name(); full == prefix || strings.HasPrefix(full, prefix+"/") {
			return true
		}
	}
	return false
}

// sourcePrefix is stricter than the library, which takes what stands before a slash for a
// host, whatever it is.
var sourcePrefix = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*[.:][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9][a-z0-9._-]*)*$`)

// ParseSourcePrefix reads HOST or HOST/PATH: that repository and all below it.
func ParseSourcePrefix(text string) (string, error) {
	// Two more parts: one alone is a repository of Docker Hub's library.
	const below = "/a/b"
	repository, err := name.NewRepository(text + below)
	if err != nil || !sourcePrefix.MatchString(text) {
		return "", fmt.Errorf("got %.200q, want the host of a registry, or a repository with its host", text)
	}
	return strings.TrimSuffix(repository.Name(), below), nil
}

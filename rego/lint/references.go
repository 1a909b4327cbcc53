package lint

import (
	"cmp"

	"github.com/assay-dev/assay/rego/cip"
)

// sources are the Secrets and ConfigMaps of the files, as NAMESPACE/NAME, and those that a
// ClusterImagePolicy may mean as /NAME.
type sources struct {
	secrets    map[string]bool
	configMaps map[string]cip.ConfigMap
}

func sourcesOf(files []File) sources {
	out := sources{secrets: map[string]bool{}, configMaps: map[string]cip.ConfigMap{}}
	for _, file := range files {
		for _, secret := range file.documents.Secrets {
			out.secrets[secret.Namespace+"/"+secret.Name] = true
			if secret.System() {
				out.secrets["/"+secret.Name] = true
			}
		}
		for _, configMap := range file.documents.ConfigMaps {
			out.configMaps[configMap.Namespace+"/"+configMap.Name] = configMap
			if configMap.System() {
				out.configMaps["/"+configMap.Name] = configMap
			}
		}
	}
	return out
}

// references finds Secrets and ConfigMaps that are in none of the files (KEY-2,
// POL-4): policies are read from files, and so is what they refer to.
func (l *linter) references(files []File) {
	found := sourcesOf(files)
	for _, s := range l.all {
		l.subject = s
		for i, a := range s.policy.Spec.Authorities {
			path := at("spec.authorities", i)
			l.secret(found, path+".key", a.Key)
			if a.Keyless != nil {
				l.secret(found, path+".keyless.ca-cert", a.Keyless.CACert)
			}
			for j, attestation := range a.Attestations {
				l.configMap(found, at(path+".attestations", j)+".policy", attestation.Policy, "the authority")
			}
		}
		l.configMap(found, "spec.policy", s.policy.Spec.Policy, "the policy")
	}
}

func (l *linter) secret(found sources, path string, key *cip.KeyRef) {
	if key == nil || key.SecretRef == nil || found.secrets[l.subject.policy.Namespace+"/"+key.SecretRef.Name] {
		return
	}
	l.report(ruleReference, path+".secretRef.name", "add the Secret to the files, with the public key alone",
		"none of the files has Secret %s of namespace %s: the authority fails for every image", key.SecretRef.Name, l.namespace())
}

func (l *linter) configMap(found sources, path string, policy *cip.PolicyRef, what string) {
	if policy == nil || policy.ConfigMapRef == nil {
		return
	}
	ref := policy.ConfigMapRef
	configMap, ok := found.configMaps[l.subject.policy.Namespace+"/"+ref.Name]
	switch {
	case !ok:
		l.report(ruleReference, path+".configMapRef.name", "add the ConfigMap to the files",
			"none of the files has ConfigMap %s of namespace %s: %s fails for every image", ref.Name, l.namespace(), what)
	case configMap.Data[ref.Key] == "":
		l.report(ruleReference, path+".configMapRef.key", "write the key that has the text of the policy",
			"ConfigMap %s has no text under %s: %s fails for every image", ref.Name, ref.Key, what)
	}
}

// namespace is where the subject finds what it refers to.
func (l *linter) namespace() string { return cmp.Or(l.subject.policy.Namespace, "cosign-system") }

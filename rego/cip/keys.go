package cip

import (
	"cmp"
	"strings"

	"github.com/assay-dev/assay/rego/cip/kms"
	"github.com/assay-dev/assay/rego/cip/pubkey"
)

func (v *validation) key(path string, k *KeyRef) {
	v.exactlyOne(count(k.Data != "", k.KMS != "", k.SecretRef != nil), path+".data", path+".kms", path+".secretref")
	switch strings.ToLower(k.HashAlgorithm) {
	case "", "sha224", "sha256", "sha384", "sha512":
	default:
		v.invalid(k.HashAlgorithm, path+".hashAlgorithm", "")
	}
	if k.Data != "" {
		if _, err := pubkey.Parse([]byte(k.Data)); err != nil {
			v.invalid(k.Data, path+".data", "")
		}
	}
	if k.KMS != "" {
		if problem := kms.Problem(k.KMS); problem != "" {
			v.invalid(k.KMS, path+".kms", problem)
		}
	}
	if s := k.SecretRef; s != nil {
		if s.Name == "" { // ours: no Secret is without a name
			v.missing(path + ".secretref.name")
		}
		if s.Namespace != "" && s.Namespace != cmp.Or(v.settings.Namespace, systemNamespace) {
			details := "secretref.namespace is invalid. If set, it should use the same namespace where the policy-controller was deployed"
			if v.owner != "" {
				details = "want the namespace of the ImagePolicy"
			}
			v.invalid(s.Namespace, path+".secretref.namespace", details)
		}
	}
}

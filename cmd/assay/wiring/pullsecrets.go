package wiring

import (
	"fmt"

	"github.com/assay-dev/assay/builtins/oci"
	"github.com/assay-dev/assay/builtins/oci/pullsecret"
)

// pullSecrets are the Secrets with registry credentials that came with the
// policies. Authorities name them in signaturePullSecrets.
type pullSecrets map[objectName]pullsecret.Secret

type objectName struct{ namespace, name string }

// named names an object. One that says no namespace is in that which kubectl
// would put it in.
func named(namespace, name string) objectName {
	if namespace == "" {
		namespace = "default"
	}
	return objectName{namespace, name}
}

// add takes in a Secret. Those of other types have no credentials for registries.
func (p pullSecrets) add(namespace, name, kind string, data map[string][]byte) error {
	if kind != pullsecret.TypeConfigJSON && kind != pullsecret.TypeConfig {
		return nil
	}
	at := named(namespace, name)
	if _, twice := p[at]; twice {
		return fmt.Errorf("secret %s/%s: got two, one of them perhaps without its namespace", at.namespace, at.name)
	}
	p[at] = pullsecret.Secret{Name: name, Type: kind, Data: data}
	return nil
}

// credentials are those of Secrets of the namespace that an object is in. Those
// that are not there are left out, as in a cluster (AUTH-4).
func (p pullSecrets) credentials(namespace string, names []string) (oci.Credentials, error) {
	var found []pullsecret.Secret
	for _, name := range names {
		if secret, ok := p[named(namespace, name)]; ok {
			found = append(found, secret)
		}
	}
	return pullsecret.Credentials(named(namespace, "").namespace, found)
}

package keys

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/cip/pubkey"
)

// clone copies all of a policy that resolving changes.
func clone(p cip.Policy) cip.Policy {
	p.Gaps = maps.Clone(p.Gaps)
	p.Spec.Policy = copied(p.Spec.Policy)
	p.Spec.Authorities = slices.Clone(p.Spec.Authorities)
	for i := range p.Spec.Authorities {
		a := &p.Spec.Authorities[i]
		a.Key = copied(a.Key)
		if a.Keyless = copied(a.Keyless); a.Keyless != nil {
			a.Keyless.CACert = copied(a.Keyless.CACert)
		}
		a.Attestations = slices.Clone(a.Attestations)
		for j := range a.Attestations {
			a.Attestations[j].Policy = copied(a.Attestations[j].Policy)
		}
	}
	return p
}

func copied[T any](original *T) *T {
	if original == nil {
		return nil
	}
	value := *original
	return &value
}

// visit shows every key and every inner policy, each with the path whose gap it
// would be.
func visit(p *cip.Policy, key func(path string, k *cip.KeyRef), policy func(path string, ref *cip.PolicyRef)) {
	for i := range p.Spec.Authorities {
		path, a := fmt.Sprintf("spec.authorities[%d]", i), &p.Spec.Authorities[i]
		if a.Key != nil {
			key(path, a.Key)
		}
		if a.Keyless != nil && a.Keyless.CACert != nil {
			key(path, a.Keyless.CACert)
		}
		for j := range a.Attestations {
			if ref := a.Attestations[j].Policy; ref != nil {
				policy(path, ref)
			}
		}
	}
	if p.Spec.Policy != nil {
		policy("spec.policy", p.Spec.Policy)
	}
}

// filler puts what was read into policies.
type filler struct {
	resolver   *Resolver
	secrets    map[object]cip.Secret
	configMaps map[object]cip.ConfigMap
	place      string
	elsewhere  map[string]string // namespaces of what is in none that counts, by kind and name
}

// object is a Secret or a ConfigMap that a reference means. Of a ClusterImagePolicy it is one
// of the system namespace, however that is called, and its namespace here is empty.
type object struct{ namespace, name string }

func newFiller(r *Resolver, sources Sources) *filler {
	f := &filler{resolver: r, place: sources.Place, elsewhere: map[string]string{}}
	f.secrets = placed(sources.Secrets, sources.Owned.Secrets, func(s cip.Secret) (object, bool) {
		return object{s.Namespace, s.Name}, s.System()
	}, func(of object) { f.elsewhere["secret "+of.name] = of.namespace })
	f.configMaps = placed(sources.ConfigMaps, sources.Owned.ConfigMaps, func(c cip.ConfigMap) (object, bool) {
		return object{c.Namespace, c.Name}, c.System()
	}, func(of object) { f.elsewhere["configmap "+of.name] = of.namespace })
	return f
}

// placed are Secrets or ConfigMaps by what means them. One of a file is found as the file says
// where it is. What a namespace of a cluster has is found by its own policies alone: to no
// other is it even a wrong place.
func placed[T any](files, owned []T, at func(T) (of object, system bool), elsewhere func(object)) map[object]T {
	out := map[object]T{}
	own := func(value T) (of object, system bool) {
		if of, system = at(value); of.namespace != "" {
			out[of] = value
		}
		return of, system
	}
	for _, value := range files {
		if of, system := own(value); system {
			out[object{"", of.name}] = value
		} else {
			elsewhere(of)
		}
	}
	for _, value := range owned {
		own(value)
	}
	return out
}

func (f *filler) fill(p *cip.Policy) {
	gap := func(path string, err error) {
		if p.Gaps == nil {
			p.Gaps = map[string]string{}
		}
		switch earlier := p.Gaps[path]; {
		case earlier == "":
			p.Gaps[path] = err.Error()
		case !slices.Contains(strings.Split(earlier, "; "), err.Error()):
			p.Gaps[path] = earlier + "; " + err.Error()
		}
	}
	owned := 0 // bytes of Rego in the policy of a namespace
	visit(p, func(path string, k *cip.KeyRef) {
		if err := f.key(p.Namespace, k); err != nil {
			gap(path, err)
		}
	}, func(path string, ref *cip.PolicyRef) {
		err := f.policy(p.Namespace, ref)
		if owned += len(ref.Data); p.Namespace != "" && owned > mostOwnedTexts {
			ref.Data, err = "", fmt.Errorf("got more than %d bytes of Rego in all, want an ImagePolicy with less", mostOwnedTexts)
		}
		if err != nil {
			gap(path, err)
		}
	})
}

// mostOwnedTexts bounds all Rego of an ImagePolicy together: there may be many places for it.
const mostOwnedTexts = 4 * cip.MostOwnedText

var errOwned = errors.New("an ImagePolicy refers to what is in its namespace alone")

// key leaves k with data alone, or with nothing.
func (f *filler) key(namespace string, k *cip.KeyRef) (err error) {
	switch {
	case k.SecretRef != nil:
		k.Data, err = f.secret(object{namespace, k.SecretRef.Name})
	case k.KMS != "" && namespace != "":
		err = errOwned
	case k.KMS != "":
		k.Data, err = f.resolver.content(reference{kms: k.KMS})
	}
	k.SecretRef, k.KMS = nil, ""
	return err
}

// policy leaves ref with data alone, or with nothing.
func (f *filler) policy(namespace string, ref *cip.PolicyRef) (err error) {
	switch {
	case ref.ConfigMapRef != nil:
		ref.Data, err = f.configMap(object{namespace, ref.ConfigMapRef.Name}, ref.ConfigMapRef.Key)
	case ref.Remote != nil && namespace != "":
		err = errOwned
	case ref.Remote != nil:
		ref.Data, err = f.resolver.content(remoteReference(ref.Remote))
	}
	ref.ConfigMapRef, ref.Remote = nil, nil
	return err
}

// missing begins with upstream's words, and goes on with where was looked.
func (f *filler) missing(kind string, of object) error {
	name := of.name
	switch {
	case of.namespace != "" && f.place != "":
		return fmt.Errorf("%s %q not found, looked in namespace %s of the cluster", kind, name, of.namespace)
	case of.namespace != "":
		return fmt.Errorf("%s %q not found, looked in the policy files for namespace %s", kind, name, of.namespace)
	}
	if namespace := f.elsewhere[kind+" "+name]; namespace != "" {
		return fmt.Errorf("%s %q not found, the policy files have one in namespace %s, want cosign-system", kind, name, namespace)
	}
	return fmt.Errorf("%s %q not found, looked in %s", kind, name, cmp.Or(f.place, "the policy files for namespace cosign-system"))
}

// secret reads the public key of a Secret: its one entry, or cosign.pub where the
// others are what "cosign generate-key-pair k8s://" writes beside it. Upstream
// refuses those (KEY-2).
func (f *filler) secret(of object) (string, error) {
	name := of.name
	secret, ok := f.secrets[of]
	switch {
	case !ok:
		return "", f.missing("secret", of)
	case len(secret.Data) == 0:
		return "", fmt.Errorf("secret %q contains no data", name)
	}
	entry, ok := publicEntry(slices.Collect(maps.Keys(secret.Data)))
	if !ok {
		return "", fmt.Errorf("secret %q contains multiple data entries, only one is supported", name)
	}
	key, err := pubkey.Parse(secret.Data[entry])
	if err != nil {
		return "", fmt.Errorf("secret %q contains an invalid public key: %w", name, err)
	}
	return key, nil
}

func publicEntry(entries []string) (string, bool) {
	if len(entries) == 1 {
		return entries[0], true
	}
	const public = "cosign.pub"
	beside := func(entry string) bool { return entry == "cosign.key" || entry == "cosign.password" }
	others := slices.DeleteFunc(entries, func(entry string) bool { return entry == public })
	return public, len(others) < len(entries) && !slices.ContainsFunc(others, func(entry string) bool { return !beside(entry) })
}

var errEmptyEntry = errors.New("the entry is empty")

// configMap reads one entry. An empty policy would pass everything, and is a gap.
func (f *filler) configMap(of object, key string) (string, error) {
	name := of.name
	configMap, ok := f.configMaps[of]
	switch {
	case !ok:
		return "", f.missing("configmap", of)
	case len(configMap.Data) == 0:
		return "", fmt.Errorf("configmap %q contains no data", name)
	}
	text, ok := configMap.Data[key]
	switch {
	case !ok:
		return "", fmt.Errorf("configmap %q does not contain key %s", name, key)
	case of.namespace != "" && len(text) > cip.MostOwnedText:
		return "", fmt.Errorf("configmap %q key %s: got %d bytes, want at most %d for an ImagePolicy", name, key, len(text), cip.MostOwnedText)
	case text == "":
		return "", fmt.Errorf("configmap %q key %s: %w", name, key, errEmptyEntry)
	}
	return text, nil
}

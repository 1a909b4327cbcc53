package watch

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/rego/cip"
)

// mostReferences bounds the Secrets and ConfigMaps that are watched: each is a watch of
// its own, and nobody is allowed to list all of them.
const mostReferences = 500

// tooMany is the cause of what is beyond.
const tooMany = "not read: policies refer to more than 500 Secrets and ConfigMaps"

// Reference names a Secret or a ConfigMap of the system namespace, or a TrustRoot.
type Reference struct{ Kind, Name string }

// referencesOf are the Secrets and ConfigMaps that policies refer to, sorted, each once.
func referencesOf(policies []cip.Policy) []Reference {
	found := map[Reference]bool{}
	for _, p := range policies {
		for _, r := range References(p) {
			if r.Kind != rootKind { // of those all are watched
				found[r] = true
			}
		}
	}
	return sorted(found)
}

// References are the Secrets, ConfigMaps and trust roots that a policy refers to, sorted,
// each once.
func References(p cip.Policy) []Reference {
	found := map[Reference]bool{}
	key := func(k *cip.KeyRef) {
		if k != nil && k.SecretRef != nil {
			found[Reference{Kind: secretKind, Name: k.SecretRef.Name}] = true
		}
	}
	text := func(p *cip.PolicyRef) {
		if p != nil && p.ConfigMapRef != nil {
			found[Reference{Kind: configMapKind, Name: p.ConfigMapRef.Name}] = true
		}
	}
	for _, authority := range p.Spec.Authorities {
		key(authority.Key)
		if authority.Keyless != nil {
			key(authority.Keyless.CACert)
		}
		for _, attestation := range authority.Attestations {
			text(attestation.Policy)
		}
		for _, name := range rootsOf(authority) {
			found[Reference{Kind: rootKind, Name: name}] = true
		}
	}
	text(p.Spec.Policy)
	return sorted(found)
}

// rootsOf are the trust roots that an authority names, the default one not among them.
func rootsOf(a cip.Authority) (names []string) {
	if a.Keyless != nil {
		names = append(names, a.Keyless.TrustRootRef)
	}
	if a.CTLog != nil {
		names = append(names, a.CTLog.TrustRootRef)
	}
	if a.RFC3161Timestamp != nil {
		names = append(names, a.RFC3161Timestamp.TrustRootRef)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func sorted(references map[Reference]bool) []Reference {
	out := make([]Reference, 0, len(references))
	for reference := range references {
		out = append(out, reference)
	}
	slices.SortFunc(out, func(a, b Reference) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return out
}

// within splits what is wanted into what is watched and what is too much. What is watched
// already stays: a policy that is new takes nothing from those that work.
func within(wanted []Reference, watched map[Reference]bool, most int) (kept, beyond []Reference) {
	if len(wanted) <= most {
		return wanted, nil
	}
	old := slices.DeleteFunc(slices.Clone(wanted), func(r Reference) bool { return !watched[r] })
	room := most - len(old)
	for _, reference := range wanted {
		switch {
		case watched[reference]:
			kept = append(kept, reference)
		case room > 0:
			kept, room = append(kept, reference), room-1
		default:
			beyond = append(beyond, reference)
		}
	}
	return kept, beyond
}

// dependency is a Secret or a ConfigMap that policies refer to. What was read once serves
// after it is deleted, for as long as a policy refers to it: keys are replaced by deleting
// and creating, and in between nothing is denied that was admitted before.
type dependency[T any] struct {
	value *T // the last one, nil if none could be read
	cause string
}

func (d dependency[T]) same(other dependency[T]) bool {
	return d.cause == other.cause && reflect.DeepEqual(d.value, other.value)
}

// lost is what becomes of it when it is deleted.
func (d dependency[T]) lost() (dependency[T], bool) {
	d.cause = "was deleted"
	return d, d.value != nil
}

func readSecret(object *unstructured.Unstructured, before dependency[cip.Secret]) dependency[cip.Secret] {
	return readDependency(object, before, func(d *cip.Documents) []cip.Secret { return d.Secrets })
}

func readConfigMap(object *unstructured.Unstructured, before dependency[cip.ConfigMap]) dependency[cip.ConfigMap] {
	return readDependency(object, before, func(d *cip.Documents) []cip.ConfigMap { return d.ConfigMaps })
}

// readDependency reads it without its namespace: there is one that it can be in.
func readDependency[T any](object *unstructured.Unstructured, before dependency[T], of func(*cip.Documents) []T) dependency[T] {
	found, err := parse(object, cip.Settings{}, "namespace")
	if err != nil {
		return dependency[T]{value: before.value, cause: cause(err)}
	}
	values := of(found)
	if len(values) != 1 {
		return dependency[T]{value: before.value, cause: fmt.Sprintf("got a %.70s", object.GetKind())}
	}
	return dependency[T]{value: &values[0]}
}

package watch

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/rego/cip"
)

// mostReferences bounds the Secrets and ConfigMaps that are watched: each is a watch of
// its own, and nobody is allowed to list all of them. Those of namespaces are bounded apart,
// and shared out: their policies take nothing from the cluster's.
const (
	mostReferences = 500
	mostOfOne      = 20
)

// tooMany and tooManyOfOne are the causes of what is beyond.
const (
	tooMany      = "not read: policies refer to more than 500 Secrets and ConfigMaps"
	tooManyOfOne = "not read: the ImagePolicies of the namespace refer to more than 20 Secrets and ConfigMaps"
)

// Reference names a Secret or a ConfigMap of the system namespace, or of the one it says; or
// a TrustRoot.
type Reference struct{ Kind, Namespace, Name string }

// FullName is the name, behind its namespace where one is said.
func (r Reference) FullName() string {
	if r.Namespace == "" {
		return r.Name
	}
	return r.Namespace + "/" + r.Name
}

// String is the kind and the full name.
func (r Reference) String() string { return r.Kind + " " + r.FullName() }

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
			found[Reference{Kind: secretKind, Namespace: p.Namespace, Name: k.SecretRef.Name}] = true
		}
	}
	text := func(ref *cip.PolicyRef) {
		if ref != nil && ref.ConfigMapRef != nil {
			found[Reference{Kind: configMapKind, Namespace: p.Namespace, Name: ref.ConfigMapRef.Name}] = true
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
	slices.SortFunc(out, compareReferences)
	return out
}

func compareReferences(a, b Reference) int {
	return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.FullName(), b.FullName()))
}

// bounded splits what is wanted into what is read and, with the cause, what is too much.
func bounded(wanted []Reference, watched map[Reference]bool) (kept []Reference, beyond []Refused) {
	byNamespace := map[string][]Reference{}
	for _, r := range wanted {
		byNamespace[r.Namespace] = append(byNamespace[r.Namespace], r)
	}
	refuse := func(refused []Reference, cause string) {
		for _, r := range refused {
			beyond = append(beyond, Refused{Kind: r.Kind, Name: r.FullName(), Cause: cause})
		}
	}
	kept, refused := within(byNamespace[""], watched, mostReferences)
	refuse(refused, tooMany)
	delete(byNamespace, "")
	few, refused := shared(byNamespace, mostOfOne, watched)
	refuse(refused, tooManyOfOne)
	owned, refused := within(few, nil, mostReferences)
	refuse(refused, tooMany)
	return append(kept, owned...), beyond
}

// shared takes turns: the first reference of each namespace, then the second of each, as
// many as one may have. So what is beyond the bound of all is of those that have most.
func shared(byNamespace map[string][]Reference, most int, watched map[Reference]bool) (turns, beyond []Reference) {
	few := map[string][]Reference{}
	names := slices.Sorted(maps.Keys(byNamespace))
	for _, namespace := range names {
		kept, refused := within(byNamespace[namespace], watched, most)
		few[namespace], beyond = kept, append(beyond, refused...)
	}
	for turn := range most {
		for _, namespace := range names {
			if turn < len(few[namespace]) {
				turns = append(turns, few[namespace][turn])
			}
		}
	}
	return turns, beyond
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

// readSecret and readConfigMap read what a policy of that namespace refers to; of the
// cluster's policies the namespace is empty.
func readSecret(namespace string) func(*unstructured.Unstructured, dependency[cip.Secret]) dependency[cip.Secret] {
	return func(object *unstructured.Unstructured, before dependency[cip.Secret]) dependency[cip.Secret] {
		out := readDependency(object, before, func(d *cip.Documents) []cip.Secret { return d.Secrets })
		if out.value != nil {
			out.value.Namespace = namespace
		}
		return out
	}
}

func readConfigMap(namespace string) func(*unstructured.Unstructured, dependency[cip.ConfigMap]) dependency[cip.ConfigMap] {
	return func(object *unstructured.Unstructured, before dependency[cip.ConfigMap]) dependency[cip.ConfigMap] {
		out := readDependency(object, before, func(d *cip.Documents) []cip.ConfigMap { return d.ConfigMaps })
		if out.value != nil {
			out.value.Namespace = namespace
		}
		return out
	}
}

// readDependency reads it without its namespace: who reads it knows it.
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

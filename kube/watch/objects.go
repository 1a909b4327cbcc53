package watch

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

// Objects is what the cluster held at one moment. It is shared: read it, and change
// nothing in it.
type Objects struct {
	// Policies are those of the cluster and then those of namespaces, sorted by name. One
	// that could not be read is among them, as a policy that denies whatever its globs match,
	// with the cause in its Gaps.
	Policies []cip.Policy
	// RegoPolicies are sorted by name. One that could not be read is among them, as one
	// that fails.
	RegoPolicies []resource.RegoPolicy
	// WorkloadPaths are sorted by name. Those that could not be read are among them.
	WorkloadPaths []resource.WorkloadPaths
	// TrustRoots are sorted by name. Of one that could not be read it is the last version
	// that could, or none: whatever relies on it is then denied.
	TrustRoots []cip.TrustRoot
	// Secrets and ConfigMaps are those that policies refer to. Those of the system namespace
	// say no namespace, which is what references mean, however it is called.
	Secrets    []cip.Secret
	ConfigMaps []cip.ConfigMap
	// Settings are those of the ConfigMap config-policy-controller.
	Settings Settings
	// Refused are the objects that could not be read, sorted.
	Refused []Refused
	// Warnings are what a user should know and nobody is refused for.
	Warnings []string
	// Seen are the policies and trust roots as the API server has them, sorted by kind and
	// name: what a status is written on.
	Seen []Seen
	// Revision counts the changes of everything but Seen: where it is the
	// same, the policies need not be compiled anew.
	Revision uint64
}

// Refused is an object that could not be read.
type Refused struct {
	// Name is NAMESPACE/NAME of what is in another namespace than the system's.
	Kind, Name string
	// Cause is why.
	Cause string
	// Serving says that the last version which could be read goes on to serve.
	Serving bool
}

// String names the object and the cause.
func (r Refused) String() string {
	if r.Serving {
		return r.Kind + " " + r.Name + ": " + r.Cause + ", the last version that could be read serves"
	}
	return r.Kind + " " + r.Name + ": " + r.Cause
}

// Seen is an object as the API server had it.
type Seen struct {
	// Name is NAMESPACE/NAME of what is in a namespace.
	Kind, Name, UID string
	Generation      int64
	ResourceVersion string
	// Status is its status, as it is.
	Status map[string]any
}

// Object is the namespace and the name of the object.
func (s Seen) Object() (namespace, name string) {
	namespace, name, found := strings.Cut(s.Name, "/")
	if !found {
		return "", s.Name
	}
	return namespace, name
}

// held is all that the sources hold, under one lock: whoever reads it sees one moment.
type held struct {
	policies   *kept[policyItem]
	owned      *kept[policyItem] // those of namespaces
	roots      *kept[rootItem]
	rego       *kept[own[resource.RegoPolicy]]
	paths      *kept[own[resource.WorkloadPaths]]
	settings   *kept[settingsItem]
	secrets    map[Reference]*kept[dependency[cip.Secret]]
	configMaps map[Reference]*kept[dependency[cip.ConfigMap]]
	tooMany    []Refused
}

// objects puts together what is held. forbidden says why a reference may not be read, if it
// may not.
func (h *held) objects(revision uint64, forbidden func(Reference) string) Objects {
	out := Objects{Revision: revision}
	if item, ok := h.settings.byName[SettingsName]; ok {
		out.Settings = item.serves
		out.refuse(Refused{Kind: configMapKind, Name: SettingsName, Cause: item.cause, Serving: item.known})
		out.warn(configMapKind+" "+SettingsName, item.warnings)
	}
	counts := map[string]int{} // policies by namespace
	for _, of := range []*kept[policyItem]{h.policies, h.owned} {
		for _, name := range slices.Sorted(maps.Keys(of.byName)) {
			item := of.byName[name].under(out.Settings)
			namespace := item.serves.Namespace
			if counts[namespace]++; namespace != "" && counts[namespace] > mostOwned {
				item = item.beyond()
			}
			out.Policies = append(out.Policies, item.serves)
			out.add(item.seen, Refused{Kind: item.seen.Kind, Name: name, Cause: item.cause}, item.warnings)
		}
	}
	out.RegoPolicies = owned(h.rego, &out)
	out.WorkloadPaths = owned(h.paths, &out)
	for _, name := range slices.Sorted(maps.Keys(h.roots.byName)) {
		item := h.roots.byName[name]
		if item.serves != nil {
			out.TrustRoots = append(out.TrustRoots, *item.serves)
		}
		out.add(item.seen, Refused{Kind: rootKind, Name: name, Cause: item.cause, Serving: item.serves != nil}, item.warnings)
	}
	out.Secrets = dependencies(h.secrets, &out)
	out.ConfigMaps = dependencies(h.configMaps, &out)
	for _, reference := range h.unread(func(r Reference) bool { return forbidden(r) == "" }) {
		out.refuse(Refused{Kind: reference.Kind, Name: reference.FullName(), Cause: forbidden(reference)})
	}
	for _, refused := range h.tooMany {
		out.refuse(refused)
	}
	slices.SortStableFunc(out.Seen, func(a, b Seen) int { return strings.Compare(a.Kind, b.Kind) })
	slices.SortStableFunc(out.Refused, func(a, b Refused) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return out
}

func (o *Objects) add(seen Seen, refused Refused, warnings []string) {
	o.Seen = append(o.Seen, seen)
	o.refuse(refused)
	o.warn(refused.Kind+" "+refused.Name, warnings)
}

func (o *Objects) refuse(r Refused) {
	if r.Cause != "" {
		o.Refused = append(o.Refused, r)
	}
}

func (o *Objects) warn(what string, warnings []string) {
	for _, warning := range warnings {
		o.Warnings = append(o.Warnings, what+": "+warning)
	}
}

// owned are the objects of a kind of our own, by name.
func owned[T any](found *kept[own[T]], out *Objects) (values []T) {
	for _, name := range slices.Sorted(maps.Keys(found.byName)) {
		item := found.byName[name]
		values = append(values, item.serves)
		out.add(item.seen, Refused{Kind: item.seen.Kind, Name: name, Cause: item.cause}, nil)
	}
	return values
}

// dependencies are the values of what is referred to, by name.
func dependencies[T any](found map[Reference]*kept[dependency[T]], out *Objects) (values []T) {
	for _, reference := range slices.SortedFunc(maps.Keys(found), compareReferences) {
		item, ok := found[reference].byName[reference.Name]
		if !ok {
			continue // there is none: whoever resolves the reference says so
		}
		if item.value != nil {
			values = append(values, *item.value)
		}
		out.refuse(Refused{Kind: reference.Kind, Name: reference.FullName(), Cause: item.cause, Serving: item.value != nil})
	}
	return values
}

// synced says that everything was read once that may be.
func (h *held) synced(forbidden func(Reference) string) bool {
	return h.policies.synced && h.owned.synced && h.roots.synced && h.rego.synced && h.paths.synced && h.settings.synced &&
		len(h.unread(func(r Reference) bool { return forbidden(r) != "" })) == 0
}

// unread are the references that no answer came for, but for those that are excused.
func (h *held) unread(excused func(Reference) bool) (out []Reference) {
	for r, found := range h.secrets {
		if !found.synced && !excused(r) {
			out = append(out, r)
		}
	}
	for r, found := range h.configMaps {
		if !found.synced && !excused(r) {
			out = append(out, r)
		}
	}
	return out
}

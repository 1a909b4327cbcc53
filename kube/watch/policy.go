package watch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/assay-dev/assay/kube"
	"github.com/assay-dev/assay/rego/cip"
)

// The kinds, as they are named in messages.
const (
	policyKind    = cip.ClusterImagePolicyKind
	rootKind      = "TrustRoot"
	secretKind    = "Secret"
	configMapKind = "ConfigMap"
)

// mostImages is how many globs a policy may have: those of rego/cip.
const (
	mostImages      = 10_000
	mostOwnedImages = 100 // of an ImagePolicy
)

// mostOwned is how many ImagePolicies of one namespace are asked, the first by name.
const mostOwned = 50

// mostCause bounds the cause of a refusal: it stands in each denial.
const mostCause = 1024

// policyItem is what is known of one ClusterImagePolicy.
type policyItem struct {
	// serves is the policy, or what stands in for one that cannot be read.
	serves cip.Policy
	// good is the last version that could be read, nil if none could.
	good *cip.Policy
	// empty is the policy where nothing is wrong with it but that it has no authorities:
	// the settings may admit that.
	empty    *cip.Policy
	cause    string
	warnings []string
	seen     Seen
	content  content
}

func (p policyItem) same(other policyItem) bool {
	return p.cause == other.cause && reflect.DeepEqual(p.serves, other.serves) &&
		reflect.DeepEqual(p.empty, other.empty) && slices.Equal(p.warnings, other.warnings)
}

// under is the item under the settings.
func (p policyItem) under(s Settings) policyItem {
	if s.EmptyAuthorities && p.empty != nil {
		p.serves, p.cause = *p.empty, ""
	}
	return p
}

// fullName is NAMESPACE/NAME.
func fullName(object *unstructured.Unstructured) string {
	return Reference{Namespace: object.GetNamespace(), Name: object.GetName()}.FullName()
}

// beyond is the item where its namespace has more than are asked: what it matches is denied.
func (p policyItem) beyond() policyItem {
	p.cause = fmt.Sprintf("the namespace has more than %d ImagePolicies", mostOwned)
	p.serves.Spec.Mode, p.serves.Spec.Match, p.serves.Spec.Policy = cip.ModeEnforce, nil, nil
	p.serves.Spec.Authorities = []cip.Authority{{Name: "authority-0"}}
	p.serves.Gaps = map[string]string{"spec.authorities[0]": "the policy is not asked: " + p.cause}
	return p
}

// readPolicy reads one object. It never fails: what cannot be read denies.
func readPolicy(namespace string) func(*unstructured.Unstructured, policyItem) policyItem {
	return func(object *unstructured.Unstructured, before policyItem) policyItem {
		content := contentOf(object)
		if content.known(before.content) {
			before.seen = seen(kindOf(object), object)
			return before
		}
		item := policyItem{seen: seen(kindOf(object), object), good: before.good, content: content}
		found, err := parsePolicy(object, cip.Settings{Namespace: namespace})
		if err == nil {
			item.serves, item.good, item.warnings = found.Policies[0], &found.Policies[0], found.Warnings
			return item
		}
		if empty, err := parsePolicy(object, cip.Settings{Namespace: namespace, EmptyAuthorities: true}); err == nil {
			item.empty = &empty.Policies[0]
		}
		item.cause = cause(err)
		item.serves = standIn(object, item.cause, before.good, before.empty)
		return item
	}
}

// kindOf is the kind of policies that are in a namespace, or in none.
func kindOf(object *unstructured.Unstructured) string {
	if object.GetNamespace() != "" {
		return cip.ImagePolicyKind
	}
	return policyKind
}

func parsePolicy(object *unstructured.Unstructured, settings cip.Settings) (*cip.Documents, error) {
	found, err := parse(object, settings)
	if err == nil && len(found.Policies) != 1 {
		err = fmt.Errorf("got a %s, want a %s", object.GetKind(), kindOf(object))
	}
	return found, err
}

// standIn denies what the old and the new globs of a policy match that cannot be read,
// whatever its mode and its match: nobody can say what it demands. Of globs that cannot
// be read it is every image.
func standIn(object *unstructured.Unstructured, cause string, before ...*cip.Policy) cip.Policy {
	globs, known := globsOf(object.Object)
	for _, old := range before {
		if old == nil {
			continue
		}
		for _, image := range old.Spec.Images {
			globs = append(globs, image.Glob)
		}
	}
	slices.Sort(globs)
	globs = slices.Compact(globs)
	if owned := object.GetNamespace() != ""; !known || len(globs) > mostImages || owned && len(globs) > mostOwnedImages {
		globs = []string{"**"}
	}
	p := cip.Policy{
		Name: fullName(object), Namespace: object.GetNamespace(), Version: kube.ClusterImagePolicies().Version,
		Spec: cip.Spec{Mode: cip.ModeEnforce, Authorities: []cip.Authority{{Name: "authority-0"}}},
		Gaps: map[string]string{"spec.authorities[0]": "the policy cannot be read: " + cause},
	}
	for _, glob := range globs {
		p.Spec.Images = append(p.Spec.Images, cip.ImagePattern{Glob: glob})
	}
	return p
}

// globsOf reads the globs of what is no policy, and whether all of them could be read.
func globsOf(tree map[string]any) (globs []string, known bool) {
	images, found, err := unstructured.NestedSlice(tree, "spec", "images")
	if err != nil || !found || len(images) == 0 {
		return nil, false
	}
	for _, image := range images {
		fields, _ := image.(map[string]any)
		glob, _ := fields["glob"].(string)
		if _, err := cip.ParseGlob(glob); err != nil {
			return nil, false
		}
		globs = append(globs, glob)
	}
	return globs, true
}

// rootItem is what is known of one TrustRoot.
type rootItem struct {
	// serves is the last version that could be read, nil if none could.
	serves   *cip.TrustRoot
	cause    string
	warnings []string
	seen     Seen
	content  content
}

func (r rootItem) same(other rootItem) bool {
	return r.cause == other.cause && reflect.DeepEqual(r.serves, other.serves) && slices.Equal(r.warnings, other.warnings)
}

func readRoot(object *unstructured.Unstructured, before rootItem) rootItem {
	content := contentOf(object)
	if content.known(before.content) {
		before.seen = seen(rootKind, object)
		return before
	}
	item := rootItem{seen: seen(rootKind, object), serves: before.serves, content: content}
	found, err := parse(object, cip.Settings{})
	switch {
	case err != nil:
		item.cause = cause(err)
	case len(found.TrustRoots) != 1:
		item.cause = "got a " + object.GetKind() + ", want a " + rootKind
	default:
		item.serves, item.warnings = &found.TrustRoots[0], found.Warnings
	}
	return item
}

// parse reads an object without what takes part in no decision, and may be most of it. A
// panic would end the process, and again whenever it starts: it is an error instead. without
// are fields of its metadata that are left out as well.
func parse(object *unstructured.Unstructured, settings cip.Settings, without ...string) (found *cip.Documents, err error) {
	defer func() {
		if recover() != nil { // over what may be a Secret
			found, err = nil, errors.New("reading it panicked")
		}
	}()
	data, err := written(object, without...)
	if err != nil {
		return nil, err
	}
	if object.GetKind() == cip.ImagePolicyKind && len(data) > cip.MostOwned {
		return nil, fmt.Errorf("got %d bytes, want an ImagePolicy of at most %d", len(data), cip.MostOwned)
	}
	return settings.Parse(data)
}

// written is the object in JSON without what is written about it, and what else is left out.
func written(object *unstructured.Unstructured, without ...string) ([]byte, error) {
	object = object.DeepCopy()
	unstructured.RemoveNestedField(object.Object, "status")
	for _, field := range append(without, "managedFields", "resourceVersion", "generation") {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	return object.MarshalJSON()
}

// content names what is read of an object, whatever was written about it: most of what the API
// server tells are our own statuses, and those of other replicas. The zero value is unknown.
type content string

func contentOf(object *unstructured.Unstructured) (out content) {
	defer func() {
		if recover() != nil { // whoever reads it says so
			out = ""
		}
	}()
	data, err := written(object)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return content(sum[:])
}

// known says that it is what was read before, and needs not be read again.
func (c content) known(before content) bool { return c != "" && c == before }

func seen(kind string, object *unstructured.Unstructured) Seen {
	status, _, err := unstructured.NestedMap(object.Object, "status")
	if err != nil { // a status that is no object is none
		status = nil
	}
	return Seen{
		Kind: kind, Name: fullName(object), UID: string(object.GetUID()),
		Generation: object.GetGeneration(), ResourceVersion: object.GetResourceVersion(), Status: status,
	}
}

// cause is what is wrong with an object, without the number of the document that
// rego/cip counts.
func cause(err error) string {
	text := strings.TrimPrefix(err.Error(), "document 0: ")
	if len(text) > mostCause {
		text = strings.ToValidUTF8(text[:mostCause], "") + "…"
	}
	return text
}

package cip

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/assay-dev/assay/rego/cip/strict"
)

var errEmpty = errors.New("got no document, want a ClusterImagePolicy or a TrustRoot")

// DocumentError is all that is wrong with one document of a stream.
type DocumentError struct {
	// Index counts the documents of the stream from 0, empty ones included.
	Index int
	// Kind and Name are as written, and empty where the document has none.
	Kind, Name string
	// Refused is what has no field to blame: syntax, an unknown kind, a
	// duplicate, and what an API server's schema says before anybody else.
	Refused []string
	// Decode is what the schema has no place for.
	Decode FieldErrors
	// Invalid is what policy-controller's validation says.
	Invalid FieldErrors
}

// Error names the document and then everything that is wrong with it.
func (e *DocumentError) Error() string {
	head := fmt.Sprintf("document %d: ", e.Index)
	if e.Kind != "" && e.Name != "" {
		head += e.Kind + " " + e.Name + ": "
	}
	lines := slices.Clone(e.Refused)
	if len(e.Decode) > 0 {
		lines = append(lines, "unable to unmarshal: "+e.Decode.Error())
	}
	if len(e.Invalid) > 0 {
		lines = append(lines, "validation failed: "+e.Invalid.Error())
	}
	return head + strings.Join(lines, "\n")
}

// orNil keeps a nil pointer from becoming an error that is not nil.
func (e *DocumentError) orNil() error {
	if len(e.Refused) == 0 && len(e.Decode) == 0 && len(e.Invalid) == 0 {
		return nil
	}
	return e
}

// Settings are what an installation decides about its policies. The zero value is
// what holds for files.
type Settings struct {
	// Namespace is the system namespace: a secretRef may name no other. Empty, it is
	// cosign-system.
	Namespace string
	// EmptyAuthorities admits a policy without authorities: none of its images can
	// satisfy it. It is the opposite of upstream's fail-on-empty-authorities.
	EmptyAuthorities bool
}

// Parse is [Settings.Parse] of the zero value.
func Parse(data []byte) (*Documents, error) { return Settings{}.Parse(data) }

// Parse reads all documents of one YAML or JSON stream. Defaults are applied
// before validation. When anything is wrong there are no Documents, and the
// error holds a [DocumentError] for each document that is at fault.
func (s Settings) Parse(data []byte) (*Documents, error) {
	trees, err := strict.Stream(data)
	if syntax := (*strict.SyntaxError)(nil); errors.As(err, &syntax) {
		return nil, &DocumentError{Index: syntax.Index, Refused: []string{syntax.Text}}
	} else if err != nil {
		return nil, err
	}
	p := parser{settings: s, found: map[string]any{}}
	var errs []error
	empty := true
	for i, tree := range trees {
		if tree != nil {
			empty = false
			errs = append(errs, p.document(i, tree))
		}
	}
	if empty {
		return nil, errEmpty
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &p.docs, nil
}

type parser struct {
	settings Settings
	docs     Documents
	// found holds each resource under its kind and name.
	found map[string]any
}

const (
	group = "policy.sigstore.dev"
	// ownGroup is that of an ImagePolicy, and of rego/resource.
	ownGroup = "policy.assay.dev"
)

func (p *parser) document(index int, tree any) error {
	h, failure := readHeader(index, tree)
	if err := failure.orNil(); err != nil {
		return err
	}
	switch h.apiVersion + " " + h.kind {
	case group + "/v1alpha1 ClusterImagePolicy", group + "/v1beta1 ClusterImagePolicy", ownGroup + "/v1alpha1 ImagePolicy":
		return p.policy(h, tree)
	case group + "/v1alpha1 TrustRoot":
		return p.trustRoot(h, tree)
	case "v1 Secret":
		return p.secret(h, tree)
	case "v1 ConfigMap":
		return p.configMap(h, tree)
	default:
		if strings.HasPrefix(h.apiVersion, ownGroup+"/") {
			p.docs.Others = append(p.docs.Others, Other{Kind: h.kind, Name: h.name, Tree: tree})
			return nil
		}
		failure.Refused = []string{"unknown type: " + h.groupVersionKind()}
		return failure
	}
}

// resource is the schema of all kinds. Its any are fields that an object read
// back from a cluster has.
type resource[S any] struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       S        `json:"spec"`
	Status     any      `json:"status"`
}

type metadata struct {
	Name                       string            `json:"name"`
	Annotations                map[string]string `json:"annotations"`
	Labels                     map[string]string `json:"labels"`
	Namespace                  string            `json:"namespace"`
	GenerateName               any               `json:"generateName"`
	SelfLink                   any               `json:"selfLink"`
	UID                        any               `json:"uid"`
	ResourceVersion            any               `json:"resourceVersion"`
	Generation                 any               `json:"generation"`
	CreationTimestamp          any               `json:"creationTimestamp"`
	DeletionTimestamp          any               `json:"deletionTimestamp"`
	DeletionGracePeriodSeconds any               `json:"deletionGracePeriodSeconds"`
	OwnerReferences            any               `json:"ownerReferences"`
	Finalizers                 any               `json:"finalizers"`
	ManagedFields              any               `json:"managedFields"`
}

func (p *parser) policy(h header, tree any) error {
	object, decodeErrs := decodeResource[Spec](tree)
	spec := &object.Spec
	spec.setDefaults()
	v := validation{settings: p.settings}
	policy := Policy{Name: h.name, Annotations: object.Metadata.Annotations}
	_, policy.Version, _ = strings.Cut(h.apiVersion, "/")
	if h.kind == ImagePolicyKind {
		policy.Namespace = object.Metadata.Namespace
		policy.Name = policy.Namespace + "/" + h.name
		v.settings.Namespace, v.owner = policy.Namespace, policy.Namespace
		v.owned(spec)
	}
	v.spec(spec)
	if warnings := v.errs.At(WarningLevel); len(warnings) > 0 {
		p.docs.Warnings = append(p.docs.Warnings, fmt.Sprintf("policy %d: %v", h.index, warnings))
	}
	failure := h.failure()
	failure.Refused, failure.Decode, failure.Invalid = schemaErrors(spec), decodeErrs, v.errs.At(ErrorLevel)
	if err := failure.orNil(); err != nil {
		return err
	}
	spec.normalize()
	policy.Spec = *spec
	p.docs.Warnings = append(p.docs.Warnings, spec.advice("policy "+policy.Name)...)
	return add(p, h, &p.docs.Policies, policy, "policy")
}

func (p *parser) trustRoot(h header, tree any) error {
	object, decodeErrs := decodeResource[TrustRootSpec](tree)
	object.Spec.setDefaults()
	v := validation{}
	v.trustRoot(&object.Spec)
	failure := h.failure()
	failure.Decode, failure.Invalid = decodeErrs, v.errs
	if err := failure.orNil(); err != nil {
		return err
	}
	return add(p, h, &p.docs.TrustRoots, TrustRoot{Name: h.name, Spec: object.Spec}, "trust root")
}

func decodeResource[S any](tree any) (*resource[S], FieldErrors) {
	object := new(resource[S])
	return object, decode(tree, object)
}

func decode(tree, out any) (errs FieldErrors) {
	for _, problem := range strict.Decode(tree, out) {
		errs = append(errs, FieldError{Message: problem.Message, Paths: []string{problem.Path}})
	}
	return errs
}

// add appends a resource unless its name is taken.
//
// Unlike upstream, which keeps the first and skips the rest, only a repetition
// of the same resource is skipped: of two that differ, neither may be dropped.
func add[T any](p *parser, h header, list *[]T, resource T, what string) error {
	id := strings.Join([]string{h.kind, h.namespace, h.name}, " ")
	earlier, taken := p.found[id]
	duplicate := fmt.Sprintf("duplicate %s named %q", what, h.name)
	switch {
	case !taken:
		p.found[id] = resource
		*list = append(*list, resource)
	case reflect.DeepEqual(earlier, any(resource)):
		p.docs.Warnings = append(p.docs.Warnings, duplicate+", skipping")
	default:
		failure := h.failure()
		failure.Refused = []string{duplicate + ", and the two differ"}
		return failure
	}
	return nil
}

// header is what every document has to have.
type header struct {
	index                  int
	apiVersion, kind, name string
	// namespace is the system namespace where the document gives none: two
	// Secrets that one reference could mean are one too many.
	namespace string
}

func (h header) failure() *DocumentError {
	return &DocumentError{Index: h.index, Kind: h.kind, Name: h.name}
}

// groupVersionKind has the form of apimachinery's: v1 of the core group is /v1.
func (h header) groupVersionKind() string {
	apiVersion := h.apiVersion
	if !strings.Contains(apiVersion, "/") {
		apiVersion = "/" + apiVersion
	}
	return apiVersion + ", Kind=" + h.kind
}

// subdomain is what names are: lower-case RFC 1123 subdomains, as an API server demands: they end
// up in messages, paths and generated code.
var subdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

const maxName = 253

// readHeader returns an empty failure when all is well.
func readHeader(index int, tree any) (header, *DocumentError) {
	object, ok := tree.(map[string]any)
	if !ok {
		refused := fmt.Sprintf("decoding object[%d]: got %s, want an object", index, strict.KindOf(tree))
		return header{}, &DocumentError{Index: index, Refused: []string{refused}}
	}
	meta, _ := object["metadata"].(map[string]any)
	h := header{index: index, namespace: systemNamespace}
	if namespace, _ := meta["namespace"].(string); namespace != "" {
		h.namespace = namespace
	}
	h.apiVersion, _ = object["apiVersion"].(string)
	h.kind, _ = object["kind"].(string)
	h.name, _ = meta["name"].(string)

	v, root := validation{}, at("", index)
	for field, value := range map[string]string{"apiVersion": h.apiVersion, "kind": h.kind, "metadata.name": h.name} {
		if value == "" {
			v.missing(root + "." + field)
		}
	}
	if h.name != "" && (len(h.name) > maxName || !subdomain.MatchString(h.name)) {
		v.invalid(strconv.Quote(h.name), root+".metadata.name",
			"a lowercase RFC 1123 subdomain of at most 253 characters is expected")
		h.name = "" // not one to print as it is
	}
	failure := h.failure()
	if h.list() {
		failure.Refused = []string{"unknown type: " + h.groupVersionKind() + ": write each of its items as a document of its own"}
		return h, failure
	}
	failure.Invalid = v.errs
	return h, failure
}

// list says whether the document is what "kubectl get -o yaml" writes of several
// resources: it has no name, and its items are not read.
func (h header) list() bool {
	return h.kind == "List" || strings.HasPrefix(h.apiVersion, group+"/") && strings.HasSuffix(h.kind, "List")
}

// at appends an index to a path.
func at(path string, index int) string {
	return path + "[" + strconv.Itoa(index) + "]"
}

package rego

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/resolver"

	"github.com/assay-dev/assay/rego/apart"
)

// Namespaces are the labels of the namespaces of a cluster at one moment, which policies read
// as data.assay.namespaces. It is immutable and safe for concurrent use.
type Namespaces struct {
	labels map[string]map[string]string
	// read says that these are those of a record, which has what was read and no others.
	read bool

	once     sync.Once
	document ast.Object
}

// NewNamespaces are those of a cluster, their labels by name. They must not be changed.
func NewNamespaces(labels map[string]map[string]string) *Namespaces {
	return &Namespaces{labels: labels}
}

// Read is what one decision read of namespaces: of one by its name, and nothing of one that
// there is none of. All says that it looked at all of them.
type Read struct {
	Labels map[string]map[string]string `json:"labels"`
	All    bool                         `json:"all,omitempty"`
}

// Namespaces are those that a decision read. What it did not read is not among them, and is
// told of by [Engine.Record].
func (r Read) Namespaces() *Namespaces { return &Namespaces{labels: r.Labels, read: !r.All} }

// Says reports whether these say the same as what a decision read.
func (n *Namespaces) Says(read *Read) bool {
	if read.All {
		return maps.EqualFunc(n.labels, read.Labels, maps.Equal)
	}
	for name, labels := range read.Labels {
		if known, ok := n.labels[name]; ok != (labels != nil) || !maps.Equal(known, labels) {
			return false
		}
	}
	return true
}

// object is the document. Only a policy that looks at all of it has it made.
func (n *Namespaces) object() ast.Object {
	n.once.Do(func() { n.document = n.only(slices.Collect(maps.Keys(n.labels))...) })
	return n.document
}

// only is the document of those of these names that there are.
func (n *Namespaces) only(names ...string) ast.Object {
	out := ast.NewObject()
	for _, name := range names {
		if !n.has(name) {
			continue
		}
		object := ast.NewObject()
		for key, value := range n.labels[name] {
			object.Insert(ast.StringTerm(key), ast.StringTerm(value))
		}
		out.Insert(ast.StringTerm(name), ast.ObjectTerm(ast.Item(ast.StringTerm("labels"), ast.NewTerm(object))))
	}
	return out
}

func (n *Namespaces) has(name string) bool {
	labels, ok := n.labels[name]
	return ok && (labels != nil || !n.read)
}

// readers are whose policies read the labels of namespaces. The zero value is nobody.
type readers struct {
	everywhere bool            // the installation, whose policies judge all reviews
	of         map[string]bool // namespaces, whose own ImagePolicies judge theirs alone
}

// add has the policies of a namespace among them, or with an empty name those of the installation.
func (r *readers) add(namespace string) {
	if namespace == "" {
		r.everywhere = true
		return
	}
	if r.of == nil {
		r.of = map[string]bool{}
	}
	r.of[namespace] = true
}

func (r readers) any() bool { return r.everywhere || len(r.of) > 0 }

// in says whether a policy that judges in a namespace reads labels.
func (r readers) in(namespace string) bool { return r.everywhere || r.of[namespace] }

// namespacesRef is where the document stands.
func namespacesRef() ast.Ref {
	return ast.Ref{ast.DefaultRootDocument, ast.StringTerm("assay"), ast.StringTerm("namespaces")}
}

// view is what one decision sees of namespaces, and notes what it read.
type view struct {
	*Namespaces
	readers readers

	mu         sync.Mutex
	names      map[string]bool
	all        bool
	unrecorded map[string]bool
}

// look is the view of one decision, nil for a set that reads none.
func (s *Set) look() *view {
	if s.namespaces == nil {
		return nil
	}
	return &view{Namespaces: s.namespaces(), readers: s.readers, names: map[string]bool{}, unrecorded: map[string]bool{}}
}

// about is nil where the namespace of what is judged is known, or no policy that judges there reads labels: one
// that denies by a label would find none. A namespace that is created is none yet.
func (v *view) about(whose Workload, review *review) error {
	if v == nil || whose.Namespace == "" || review.isOf("Namespace") || !v.readers.in(whose.Namespace) {
		return nil
	}
	v.note(ast.Ref{ast.StringTerm(whose.Namespace)})
	if !v.has(whose.Namespace) {
		return fmt.Errorf("namespace %s: its labels are not known, and policies read them: try again", whose.Namespace)
	}
	return nil
}

// Eval implements [resolver.Resolver].
func (v *view) Eval(context.Context, resolver.Input) (resolver.Result, error) {
	return resolver.Result{Value: looking{view: v}}, nil
}

// looking is the document as a reference is looked up in it. It is no value that anything else gets.
type looking struct {
	ast.Value
	view *view
}

// Find notes which namespace is asked for: of a reference to all of them it is all.
func (l looking) Find(ref ast.Ref) (ast.Value, error) {
	l.view.note(ref)
	if len(ref) > 0 {
		if name, ok := ref[0].Value.(ast.String); ok { // the document has thousands, and this is one of them
			return l.view.only(string(name)).Find(ref)
		}
	}
	return l.view.object().Find(ref)
}

func (v *view) note(ref ast.Ref) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(ref) == 0 {
		if v.all = true; v.read {
			v.unrecorded["all namespaces"] = true
		}
		return
	}
	name, ok := ref[0].Value.(ast.String)
	if !ok {
		return // none is called so
	}
	v.names[string(name)] = true
	if _, known := v.labels[string(name)]; v.read && !known {
		v.unrecorded["namespace "+string(name)] = true
	}
}

// taken is what was read, nil where nobody looked.
func (v *view) taken() *Read {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.all {
		return &Read{Labels: v.labels, All: true}
	}
	out := &Read{Labels: map[string]map[string]string{}}
	for name := range v.names {
		labels := v.labels[name]
		if labels == nil && v.has(name) {
			labels = map[string]string{} // it has none, which is not that there is none
		}
		out.Labels[name] = labels
	}
	return out
}

// missing are what a record does not have and a decision asked for.
func (v *view) missing() []string {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.unrecorded))
}

// inData says that the data documents have the labels of namespaces, for whoever has no cluster.
func (s Source) inData() (own any, ok bool) {
	own, ok = s.Data["assay"]
	return own, ok
}

// hasNamespaces says that there are labels of namespaces to be read.
func (s Source) hasNamespaces() bool {
	_, ok := s.inData()
	return ok || s.Namespaces != nil
}

// knownNamespaces are those of the cluster, or of the data documents: there they stand as they do below
// data.
func (s Source) knownNamespaces() (func() *Namespaces, error) {
	own, ok := s.inData()
	if !ok {
		return s.Namespaces, nil
	}
	text, err := json.Marshal(own)
	if err != nil {
		return nil, fmt.Errorf("data.assay: %w", err)
	}
	var document struct {
		Namespaces map[string]struct {
			Labels map[string]string `json:"labels"`
		} `json:"namespaces"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("data.assay: the document is the product's own, but for namespaces by name, each with labels: %w", err)
	}
	if document.Namespaces == nil {
		return nil, errors.New("data.assay: the document is the product's own, but for namespaces: got none")
	}
	if s.Namespaces != nil {
		return nil, errors.New("data.assay.namespaces: got it in a file, want it of the cluster alone")
	}
	labels := map[string]map[string]string{}
	for name, n := range document.Namespaces {
		labels[name] = n.Labels
	}
	all := NewNamespaces(labels)
	return func() *Namespaces { return all }, nil
}

// others are the data documents that policies in plain Rego have of their own.
func (s Source) others() map[string]any {
	if _, ok := s.inData(); !ok {
		return s.Data
	}
	out := maps.Clone(s.Data)
	delete(out, "assay")
	return out
}

// resolved is what an evaluation of plain Rego has besides its data, nil for nothing.
func (v *view) resolved() *apart.Resolved {
	if v == nil {
		return nil
	}
	return &apart.Resolved{Ref: namespacesRef(), By: v}
}

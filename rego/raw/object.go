package raw

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/apart"
	"github.com/assay-dev/assay/rego/once"
)

// mostModules is far above what one policy and its libraries consist of.
const mostModules = 100

// Object is one policy in plain Rego that is an object of its own: with libraries and data
// that no other policy sees. Of files all that is wrong refuses the source; of an object it
// is the failure of its policy, for whoever writes it is not whoever starts the program.
type Object struct {
	// Name is how messages name it, "RegoPolicy labels".
	Name string `json:"name"`
	// Modules are its texts by path.
	Modules map[string]string `json:"modules,omitempty"`
	// Data are the documents that it sees below data.
	Data map[string]any `json:"data,omitempty"`
	// Refused is why it cannot be read, if it cannot: it fails.
	Refused string `json:"refused,omitempty"`
	// Uncompiled is why it is not compiled, though it can be read: it fails likewise.
	Uncompiled string `json:"uncompiled,omitempty"`
}

// lot are files that see each other, and nothing of other lots: those of a directory, or
// those of one object.
type lot struct {
	object  string // "" of files
	of      Object // what it was read from, the zero value of files
	files   []file
	data    map[string]any
	refused error
	store   storage.Store
	sum     []byte // of what is in the store, nil where nobody can say
}

// prepare puts beside the data what policies see of the installation.
func (l *lot) prepare(about map[string]any) {
	l.data = maps.Clone(l.data)
	if l.data == nil {
		l.data = map[string]any{}
	}
	if data, err := json.Marshal([]any{l.data, about["config"]}); err == nil { // in the order of the names
		sum := sha256.Sum256(data)
		l.sum = sum[:]
	}
	l.data["assay"] = about
	l.store = inmem.NewFromObjectWithOpts(l.data, inmem.OptRoundTripOnWrite(false), inmem.OptReturnASTValuesOnRead(true))
}

// lotOf reads an object. What is wrong with it is in the lot.
func lotOf(ctx context.Context, o Object, source Source) *lot {
	out := &lot{object: o.Name, of: o, data: o.Data}
	switch {
	case o.Refused != "":
		out.refused = errors.New(o.Refused)
	case len(o.Modules) == 0:
		out.refused = errors.New("got no modules, want one policy in Rego")
	case len(o.Modules) > mostModules:
		out.refused = fmt.Errorf("got %d modules, want at most %d", len(o.Modules), mostModules)
	default:
		if out.refused = checkData(o.Data); out.refused == nil {
			out.files, out.refused = once.Get(ctx, source.Load, keyOf(o.Modules, source.V0), func(ctx context.Context) ([]file, error) {
				return parseAll(ctx, o.Modules, source.V0)
			})
		}
	}
	if out.refused == nil {
		out.refused = single(out.files)
	}
	return out
}

// keyOf names what files are parsed to.
func keyOf(modules map[string]string, v0 bool) once.Key {
	parts := []string{strconv.FormatBool(v0)}
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		parts = append(parts, path, modules[path])
	}
	return once.KeyOf("files in Rego", parts...)
}

// key names what a policy is compiled to, where all that it depends on can be named.
func (w *workshop) key() (key once.Key, ok bool) {
	if w.sum == nil {
		return key, false
	}
	parts := []string{w.policy.String(), string(w.sum), strings.Join(w.allow.Builtins, " "), strings.Join(w.allow.Hosts, " "), strconv.FormatBool(w.placed), strconv.Itoa(len(w.own))}
	for _, f := range w.files { // its own are the first
		parts = append(parts, f.path, f.text, strconv.FormatBool(f.v0))
	}
	return once.KeyOf("policy in Rego", parts...), true
}

// noteLate notes that an object is not there yet, and fails for that: it was not read, or not
// compiled.
func (p *Policies) noteLate(o Object, unread, uncompiled error) {
	switch {
	case o.Name == "":
		return
	case errors.Is(unread, once.ErrLater):
		o.Refused = unread.Error()
	case errors.Is(uncompiled, once.ErrLater), errors.Is(uncompiled, context.DeadlineExceeded):
		o.Uncompiled = uncompiled.Error()
	default:
		return
	}
	p.late[o.Name] = o
}

// Waiting are the objects as they count in these policies: those that are not compiled yet
// say so, and fail wherever they are compiled.
func (p *Policies) Waiting(objects []Object) []Object {
	if len(p.late) == 0 {
		return objects
	}
	out := slices.Clone(objects)
	for i, o := range out {
		if late, ok := p.late[o.Name]; ok {
			out[i] = late
		}
	}
	return out
}

// single wants exactly one policy.
func single(files []file) error {
	var names []string
	for _, f := range files {
		if f.policy != nil && !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	switch slices.Sort(names); len(names) {
	case 0:
		return fmt.Errorf("%s: %s: got libraries alone, want a policy beside them: package policies.NAME or %s",
			files[0].path, files[0].module.Package, kubernetesAdmission)
	case 1:
		return nil
	}
	return fmt.Errorf("got the policies %s, want one: each is an object of its own", strings.Join(names, ", "))
}

// contender is a policy as one lot has it.
type contender struct {
	*lot
	own []file
}

// contenders are the policies of lots by name. Of a lot that cannot be read nobody knows
// which policy it is: it goes by the name of its object, which no package has.
func contenders(lots []*lot) map[string][]contender {
	out := map[string][]contender{}
	for _, l := range lots {
		if l.refused != nil {
			out[l.object] = append(out[l.object], contender{lot: l})
			continue
		}
		for name, own := range byPolicy(l.files) {
			out[name] = append(out[name], contender{lot: l, own: own})
		}
	}
	return out
}

// inFiles are the paths of what has the policy, where that is no object.
func (c contender) inFiles() (paths []string) {
	if c.object != "" {
		return nil
	}
	for _, f := range c.own {
		paths = append(paths, f.path)
	}
	return paths
}

// policy makes the policy of the one lot that has it, and notes the paths of what it
// consists of.
func (c contender) policy(ctx context.Context, name string, library []file, source Source, asked map[string]bool) *Policy {
	p := &Policy{Name: name, objects: []string{c.object}, files: c.inFiles(), allow: source.Allow}
	if c.refused != nil {
		p.failure = &apart.Failure{Code: Unresolved, Message: cause(c.refused)}
		return p
	}
	p.Metadata, p.warns = metadataOf(c.own), warns(c.own)
	w := workshop{
		policy: c.own[0].policy, own: c.own, files: closure(c.own, slices.Concat(library, libraries(c.files))),
		data: c.data, store: c.store, sum: c.sum, allow: source.Allow, placed: source.Namespaces,
	}
	for _, f := range w.files {
		asked[f.path] = true
	}
	load := source.Load
	if c.object == "" {
		load = load.Patiently()
	}
	made, err := built{}, errors.New(c.of.Uncompiled)
	if c.of.Uncompiled == "" {
		made, err = compileOne(ctx, w, load)
	}
	p.program, p.asks, p.places, p.cause = made.program, made.asks, made.places, err
	if err != nil {
		p.failure = &apart.Failure{Code: Unresolved, Message: cause(err)}
		p.file, p.line = place(err, c.own[0])
	}
	return p
}

// contested is what becomes of a policy that several lots have: nobody can say which of
// them is meant, so it fails, and warns only where all of them would.
func contested(name string, of []contender) *Policy {
	out := &Policy{Name: name, warns: true}
	var where []string
	for _, c := range of {
		at := "in " + c.object
		if c.object == "" {
			at = "in the files"
		}
		where = append(where, at)
		out.warns = out.warns && warns(c.own)
		out.objects, out.files = append(out.objects, c.object), append(out.files, c.inFiles()...)
	}
	slices.Sort(where)
	out.failure = &apart.Failure{Code: Unresolved, Message: apart.Shortened(fmt.Sprintf(
		"there are %d policies of that name, %s: want one", len(of), strings.Join(where, " and ")))}
	if own := of[0].own; len(own) > 0 {
		out.file, out.line = own[0].path, own[0].module.Package.Location.Row
	}
	return out
}

// Objects are the names of the objects that the policy is; more than one where they contest
// its name, and "" among them where files have it.
func (p *Policy) Objects() []string { return slices.Clone(p.objects) }

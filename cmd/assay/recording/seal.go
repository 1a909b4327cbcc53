// Package recording turns decisions into capsules, and capsules into decisions.
//
// On the way of a decision it does next to nothing: a [Recorder] takes what the engine
// hands it, or drops it, and a worker masks and writes. On the way back a [Judge] makes
// the decision again from what a capsule holds, with the registry closed.
package recording

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/assay-dev/assay/builtins"
	"github.com/assay-dev/assay/builtins/sigstore/trust"
	"github.com/assay-dev/assay/capsule"
	"github.com/assay-dev/assay/cmd/assay/plain"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/raw"
	"github.com/assay-dev/assay/rego/resource"
)

// The kinds of documents in a capsule.
const (
	kindPolicy = "ClusterImagePolicy"
	kindModule = "Module"
	kindData   = "Data"
	kindObject = "RegoPolicy"
	kindPaths  = "WorkloadPaths"
	// kindPermissions is what policies in Rego may do.
	kindPermissions = "Permissions"
)

// permissions are what an installation lets policies in Rego do.
type permissions struct {
	V0         bool     `json:"v0,omitempty"`
	Registries []string `json:"registries,omitempty"`
	Builtins   []string `json:"builtins,omitempty"`
	Hosts      []string `json:"hosts,omitempty"`
}

// Sealer makes capsules of the decisions of one program. It is safe for concurrent use.
type Sealer struct {
	// Program is its version.
	Program string
	// AnchoredIdentities is how its identity expressions match.
	AnchoredIdentities bool

	mu       sync.Mutex
	set      *rego.Set // that policies are of
	policies []capsule.Document
}

// Keep has the next decision of an engine recorded in a directory. The function writes
// it, if it was made, and says where, or why it could not be written: that changes
// nothing about the decision.
func (s *Sealer) Keep(engine *rego.Engine, dir string) func(out io.Writer) {
	var kept *rego.Made
	engine.Record(func(made rego.Made) { kept = &made })
	return func(out io.Writer) {
		if kept == nil {
			return
		}
		c, err := s.Seal(*kept)
		path := ""
		if err == nil {
			path, _, err = capsule.Save(dir, c)
		}
		if err != nil {
			fmt.Fprintln(out, "warning: --record: the decision is not recorded:", plain.Below(err.Error()))
			return
		}
		fmt.Fprintln(out, "recorded", path)
	}
}

// Seal makes the capsule of a decision.
func (s *Sealer) Seal(made rego.Made) (*capsule.Capsule, error) {
	session, ok := made.Answers.(*builtins.Session)
	if !ok {
		return nil, fmt.Errorf("capsule: got answers of type %T, want a session", made.Answers)
	}
	tape, mask, out := session.Tape(), capsule.NewMask(), &capsule.Capsule{}
	var err error
	if out.Records, err = tape.Records(out.Keep); err != nil {
		return nil, err
	}
	if err := maskConfigs(out, mask); err != nil {
		return nil, err
	}
	if out.Review, err = mask.Review(made.Review); err != nil {
		return nil, err
	}
	if out.Policies, err = s.documents(made.Set); err != nil {
		return nil, err
	}
	out.Trust = trustOf(tape.Roots, out.Keep)
	if out.Outcome, err = outcomeOf(made.Decision, made.Err); err != nil {
		return nil, err
	}
	if err := unrepeated(out, mask); err != nil {
		return nil, err
	}
	config, err := json.Marshal(made.Set.Source().Config)
	out.Settings = capsule.Settings{
		Program: s.Program, Time: tape.Now.Round(0), Call: "validate", Config: config,
		AnchoredIdentities: s.AnchoredIdentities, PolicySet: made.Set.Hash(), Masked: mask.Places(),
	}
	if made.Mutation {
		out.Settings.Call = "mutate"
	}
	if err != nil {
		return nil, err
	}
	out.Settings.Namespaces, err = namespacesOf(made)
	return out, err
}

// namespacesOf is what policies read of the namespaces of a cluster, nothing where none reads them: other
// policies that do are then told what is not recorded. Those of files are among the data.
func namespacesOf(made rego.Made) (json.RawMessage, error) {
	read := made.Read
	if made.Set.Source().Namespaces == nil {
		return nil, nil
	}
	if read == nil {
		read = &rego.Read{}
	}
	return json.Marshal(read)
}

// maskConfigs masks the environment of images in what policies were shown of their
// configuration. A configuration that was read as a blob is signed as it is, and left
// out: its digest would give away any change.
func maskConfigs(c *capsule.Capsule, mask *capsule.Mask) (err error) {
	for i := range c.Records.Exchanges {
		e := &c.Records.Exchanges[i]
		place := fmt.Sprintf("exchanges[%d].answer", i)
		switch {
		case e.Error != nil:
		case e.Name == "config" || e.Name == "configs":
			if e.Answer, err = mask.Config(place, e.Answer); err != nil {
				return err
			}
		case e.Name == "blob":
			var digest string
			if err := json.Unmarshal(e.Answer, &digest); err != nil {
				return err
			}
			if mask.LeavesOut(place, c.Blobs[digest]) {
				e.Answer = json.RawMessage("null")
				delete(c.Blobs, digest)
			}
		}
	}
	return nil
}

func outcomeOf(decision rego.Decision, failure error) (out capsule.Outcome, err error) {
	if failure != nil {
		out.Error = failure.Error()
		return out, nil
	}
	out.Decision, err = json.Marshal(decision)
	return out, err
}

// documents are those of a set, made once for all its decisions.
func (s *Sealer) documents(set *rego.Set) ([]capsule.Document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set == set {
		return s.policies, nil
	}
	out, err := documentsOf(set.Source())
	if err == nil {
		s.set, s.policies = set, out
	}
	return out, err
}

// documentsOf writes a source of policies, and sourceOf reads it again: whatever a
// source can hold has its kind of document in both.
func documentsOf(source rego.Source) ([]capsule.Document, error) {
	out := []capsule.Document{}
	for _, policy := range source.Policies {
		value, err := json.Marshal(policy)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", policy.Name, err)
		}
		out = append(out, capsule.Document{Kind: kindPolicy, Name: policy.Name, Value: value})
	}
	for _, path := range slices.Sorted(maps.Keys(source.Modules)) {
		out = append(out, capsule.Document{Kind: kindModule, Name: path, Text: source.Modules[path]})
	}
	for _, name := range slices.Sorted(maps.Keys(source.Data)) {
		value, err := json.Marshal(source.Data[name])
		if err != nil {
			return nil, fmt.Errorf("data.%s: %w", name, err)
		}
		out = append(out, capsule.Document{Kind: kindData, Name: name, Value: value})
	}
	for _, object := range source.Objects {
		value, err := json.Marshal(object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", object.Name, err)
		}
		out = append(out, capsule.Document{Kind: kindObject, Name: object.Name, Value: value})
	}
	for _, paths := range source.Workloads {
		value, err := json.Marshal(paths)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", paths, err)
		}
		out = append(out, capsule.Document{Kind: kindPaths, Name: paths.Name, Value: value})
	}
	may := permissions{source.V0, source.Registries, source.Allow.Builtins, source.Allow.Hosts}
	value, err := json.Marshal(may)
	if string(value) != "{}" {
		out = append(out, capsule.Document{Kind: kindPermissions, Name: "policies in Rego", Value: value})
	}
	return out, err
}

func sourceOf(documents []capsule.Document) (out rego.Source, err error) {
	out.Modules, out.Data = map[string]string{}, map[string]any{}
	for i, d := range documents {
		switch d.Kind {
		case kindPolicy:
			out.Policies = append(out.Policies, cip.Policy{})
			err = strictly(d.Value, &out.Policies[len(out.Policies)-1])
		case kindModule:
			out.Modules[d.Name] = d.Text
		case kindData:
			var value any
			err = strictly(d.Value, &value)
			out.Data[d.Name] = value
		case kindObject:
			out.Objects = append(out.Objects, raw.Object{})
			err = strictly(d.Value, &out.Objects[len(out.Objects)-1])
		case kindPaths:
			out.Workloads = append(out.Workloads, resource.WorkloadPaths{})
			err = strictly(d.Value, &out.Workloads[len(out.Workloads)-1])
		case kindPermissions:
			var may permissions
			err = strictly(d.Value, &may)
			out.V0, out.Registries, out.Allow.Builtins, out.Allow.Hosts = may.V0, may.Registries, may.Builtins, may.Hosts
		default:
			err = fmt.Errorf("kind: got %.100q, want %s, %s, %s, %s, %s or %s",
				d.Kind, kindPolicy, kindModule, kindData, kindObject, kindPaths, kindPermissions)
		}
		if err != nil {
			return out, fmt.Errorf("policies[%d]: %w", i, err)
		}
	}
	return out, nil
}

func strictly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	decoder.UseNumber() // as data documents are read: policies see the same numbers
	return decoder.Decode(into)
}

func trustOf(roots trust.Roots, keep func([]byte) string) capsule.Trust {
	out := capsule.Trust{Roots: map[string]capsule.Root{}}
	add := func(name string, root *trust.Root) {
		if root != nil {
			form, content := root.Content()
			out.Roots[name] = capsule.Root{Form: string(form), Content: keep(content)}
		}
	}
	for name, cause := range roots.Causes {
		out.Roots[name] = capsule.Root{Cause: cause}
	}
	for name, root := range roots.Named {
		add(name, root)
	}
	if add("", roots.Default); roots.Default == nil && roots.DefaultCause != "" {
		out.Roots[""] = capsule.Root{Cause: roots.DefaultCause}
	}
	return out
}

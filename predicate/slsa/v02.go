package slsa

import "github.com/assay-dev/assay/predicate/bounded"

// The structs of in-toto-golang know the same fields. They are not used: a time of
// theirs that is none is refused without the name of its field, and they lack
// buildInvocationId, which is how the specification spells it.

// predicateV02 is what is read of https://slsa.dev/spec/v0.2/provenance.
type predicateV02 struct {
	Builder struct {
		ID string `json:"id"`
	} `json:"builder"`
	BuildType  string `json:"buildType"`
	Invocation struct {
		ConfigSource struct {
			URI        string            `json:"uri"`
			Digest     map[string]string `json:"digest"`
			EntryPoint string            `json:"entryPoint"`
		} `json:"configSource"`
		Parameters  bounded.Raw `json:"parameters"`
		Environment bounded.Raw `json:"environment"`
	} `json:"invocation"`
	Metadata struct {
		InvocationID string `json:"buildInvocationId"`
		// InvocationIDOfGo is how in-toto-golang spells it, and all who use it.
		InvocationIDOfGo string `json:"buildInvocationID"`
		StartedOn        string `json:"buildStartedOn"`
		FinishedOn       string `json:"buildFinishedOn"`
	} `json:"metadata"`
	Materials []descriptor `json:"materials"`
}

func readV02(data []byte) (Provenance, error) {
	var p predicateV02
	if err := bounded.Decode(data, &p); err != nil {
		return Provenance{}, err
	}
	out := Provenance{
		Version:      "0.2",
		Builder:      Builder{ID: p.Builder.ID, Version: map[string]string{}},
		BuildType:    p.BuildType,
		InvocationID: p.Metadata.InvocationID,
		Materials:    materials(p.Materials),
	}
	if other := p.Metadata.InvocationIDOfGo; other != "" {
		if out.InvocationID != "" && out.InvocationID != other {
			return Provenance{}, bounded.Refuse(bounded.Malformed, "metadata.buildInvocationID",
				"got %s, want what buildInvocationId is", bounded.Quoted(other))
		}
		out.InvocationID = other
	}
	source := p.Invocation.ConfigSource
	out.Source = sourceOf(source.URI, source.Digest, out.Materials)
	out.Source.Workflow = source.EntryPoint
	r := reader{}
	r.required("builder.id", p.Builder.ID)
	r.required("buildType", p.BuildType)
	out.Parameters.External = r.object("invocation.parameters", p.Invocation.Parameters)
	out.Parameters.Internal = r.object("invocation.environment", p.Invocation.Environment)
	out.StartedOn = r.time("metadata.buildStartedOn", p.Metadata.StartedOn)
	out.FinishedOn = r.time("metadata.buildFinishedOn", p.Metadata.FinishedOn)
	return out, r.err
}

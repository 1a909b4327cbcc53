package slsa

import (
	"strings"

	"github.com/assay-dev/assay/predicate/bounded"
)

// predicateV1 is what is read of https://slsa.dev/spec/v1.0/provenance.
type predicateV1 struct {
	BuildDefinition struct {
		BuildType            string       `json:"buildType"`
		ExternalParameters   bounded.Raw  `json:"externalParameters"`
		InternalParameters   bounded.Raw  `json:"internalParameters"`
		ResolvedDependencies []descriptor `json:"resolvedDependencies"`
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID      string            `json:"id"`
			Version map[string]string `json:"version"`
		} `json:"builder"`
		Metadata struct {
			InvocationID string `json:"invocationId"`
			StartedOn    string `json:"startedOn"`
			FinishedOn   string `json:"finishedOn"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

func readV1(data []byte) (Provenance, error) {
	var p predicateV1
	if err := bounded.Decode(data, &p); err != nil {
		return Provenance{}, err
	}
	definition, run := p.BuildDefinition, p.RunDetails
	out := Provenance{
		Version:      "1",
		Builder:      Builder{ID: run.Builder.ID, Version: digests(run.Builder.Version)},
		BuildType:    definition.BuildType,
		InvocationID: run.Metadata.InvocationID,
		Materials:    materials(definition.ResolvedDependencies),
	}
	r := reader{}
	r.required("runDetails.builder.id", run.Builder.ID)
	r.required("buildDefinition.buildType", definition.BuildType)
	out.Parameters.External = r.object("buildDefinition.externalParameters", definition.ExternalParameters)
	out.Parameters.Internal = r.object("buildDefinition.internalParameters", definition.InternalParameters)
	out.StartedOn = r.time("runDetails.metadata.startedOn", run.Metadata.StartedOn)
	out.FinishedOn = r.time("runDetails.metadata.finishedOn", run.Metadata.FinishedOn)
	if r.err != nil {
		return Provenance{}, r.err
	}
	var err error
	out.Source, err = sourceV1(out)
	return out, err
}

// The build types whose external parameters name the source.
const (
	// https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1
	typeWorkflow = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
	// https://actions.github.io/buildtypes/workflow/v1, that of GitHub's own attestations.
	typeActions = "https://actions.github.io/buildtypes/workflow/v1"
	// https://slsa-framework.github.io/gcb-buildtypes/triggered-build/v1
	typeCloudBuild = "https://slsa-framework.github.io/gcb-buildtypes/triggered-build/v1"
)

// origin is where the parameters of a build type name a source.
type origin struct {
	Repository string `json:"repository"`
	Ref        string `json:"ref"`
	Path       string `json:"path"`
}

// sourceV1 requires external parameters that are an object or null.
func sourceV1(p Provenance) (Source, error) {
	var parameters struct {
		Workflow          *origin `json:"workflow"`
		SourceToBuild     *origin `json:"sourceToBuild"`
		BuildConfigSource *origin `json:"buildConfigSource"`
	}
	from, config := &origin{}, &origin{}
	switch p.BuildType {
	case typeWorkflow, typeActions, typeCloudBuild:
		if p.Parameters.External.Absent() {
			break
		}
		if err := bounded.Decode(p.Parameters.External, &parameters); err != nil {
			return Source{}, bounded.Within("buildDefinition.externalParameters", err)
		}
	}
	switch p.BuildType {
	case typeWorkflow, typeActions:
		if parameters.Workflow != nil {
			from, config = parameters.Workflow, parameters.Workflow
		}
	case typeCloudBuild:
		if parameters.BuildConfigSource != nil {
			from, config = parameters.BuildConfigSource, parameters.BuildConfigSource
		}
		if parameters.SourceToBuild != nil {
			from = parameters.SourceToBuild
		}
	}
	// Cloud Build writes repositories with git+, workflows without.
	repository := strings.TrimPrefix(from.Repository, "git+")
	uri := ""
	if repository != "" {
		uri = "git+" + repository
		if from.Ref != "" {
			uri += "@" + from.Ref
		}
	}
	source := sourceOf(uri, nil, p.Materials)
	source.Repository, source.Ref, source.Workflow = repository, from.Ref, config.Path
	return source, nil
}

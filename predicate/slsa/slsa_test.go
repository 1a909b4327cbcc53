package slsa_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/assay-dev/assay/predicate/bounded"
	"github.com/assay-dev/assay/predicate/slsa"
)

const v02 = `{
  "builder": {"id": "https://github.com/acme/builder@refs/tags/v1"},
  "buildType": "https://example.com/build@v1",
  "invocation": {
    "configSource": {"uri": "git+https://github.com/acme/app@refs/heads/main", "entryPoint": ".github/workflows/build.yml"},
    "parameters": {"n": 12345678901234567890},
    "environment": {"github_ref": "refs/heads/main", "path": "a", "PATH": "b"}
  },
  "metadata": {"buildInvocationID": "run-1", "buildStartedOn": "2024-05-06T09:08:09+02:00", "buildFinishedOn": "2024-05-06T07:09:09.5Z"},
  "materials": [
    {"uri": "git+https://github.com/acme/app@refs/heads/main", "digest": {"sha1": "aa"}},
    {"uri": "pkg:docker/base@1"}
  ]
}`

const v1 = `{
  "buildDefinition": {
    "buildType": "https://actions.github.io/buildtypes/workflow/v1",
    "externalParameters": {"workflow": {"ref": "refs/tags/v1", "repository": "https://github.com/acme/app", "path": ".github/workflows/release.yml"}},
    "internalParameters": {"github": {"event_name": "push"}},
    "resolvedDependencies": [{"name": "source", "uri": "git+https://github.com/acme/app@refs/tags/v1", "digest": {"gitCommit": "aa"}}]
  },
  "runDetails": {
    "builder": {"id": "https://github.com/actions/runner/github-hosted", "version": {"runner": "2.3"}},
    "metadata": {"invocationId": "https://github.com/acme/app/actions/runs/1/attempts/1", "startedOn": "2024-05-06T07:08:09Z"}
  }
}`

func TestReads(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, predicateType, predicate string
		want                           slsa.Provenance
	}{
		{"v0.2", slsa.TypeV02, v02, slsa.Provenance{
			Version: "0.2", Builder: slsa.Builder{ID: "https://github.com/acme/builder@refs/tags/v1", Version: map[string]string{}},
			BuildType: "https://example.com/build@v1", InvocationID: "run-1",
			Source: slsa.Source{
				URI: "git+https://github.com/acme/app@refs/heads/main", Repository: "https://github.com/acme/app", Ref: "refs/heads/main",
				Digest: map[string]string{"sha1": "aa"}, Workflow: ".github/workflows/build.yml",
			},
			Materials: []slsa.Material{
				{URI: "git+https://github.com/acme/app@refs/heads/main", Digest: map[string]string{"sha1": "aa"}},
				{URI: "pkg:docker/base@1", Digest: map[string]string{}},
			},
			Parameters: slsa.Parameters{
				External: bounded.Raw(`{"n": 12345678901234567890}`),
				Internal: bounded.Raw(`{"github_ref": "refs/heads/main", "path": "a", "PATH": "b"}`),
			},
			StartedOn: "2024-05-06T07:08:09Z", FinishedOn: "2024-05-06T07:09:09.5Z", Subjects: []slsa.Material{},
		}},
		{"v0.2 with what it must have", slsa.TypeV02, `{"builder": {"id": "b"}, "buildType": "t", "invocation": {"parameters": null}, "metadata": {"buildInvocationId": "run-1"}}`, slsa.Provenance{
			Version: "0.2", Builder: slsa.Builder{ID: "b", Version: map[string]string{}}, BuildType: "t", InvocationID: "run-1",
			Source: slsa.Source{Digest: map[string]string{}}, Materials: []slsa.Material{}, Subjects: []slsa.Material{},
		}},
		{"v1", slsa.TypeV1, v1, slsa.Provenance{
			Version: "1", Builder: slsa.Builder{ID: "https://github.com/actions/runner/github-hosted", Version: map[string]string{"runner": "2.3"}},
			BuildType: "https://actions.github.io/buildtypes/workflow/v1", InvocationID: "https://github.com/acme/app/actions/runs/1/attempts/1",
			Source: slsa.Source{
				URI: "git+https://github.com/acme/app@refs/tags/v1", Repository: "https://github.com/acme/app", Ref: "refs/tags/v1",
				Digest: map[string]string{"gitCommit": "aa"}, Workflow: ".github/workflows/release.yml",
			},
			Materials: []slsa.Material{{Name: "source", URI: "git+https://github.com/acme/app@refs/tags/v1", Digest: map[string]string{"gitCommit": "aa"}}},
			Parameters: slsa.Parameters{
				External: bounded.Raw(`{"workflow": {"ref": "refs/tags/v1", "repository": "https://github.com/acme/app", "path": ".github/workflows/release.yml"}}`),
				Internal: bounded.Raw(`{"github": {"event_name": "push"}}`),
			},
			StartedOn: "2024-05-06T07:08:09Z", Subjects: []slsa.Material{},
		}},
		{"v1 of a build type that is not known has no source", slsa.TypeV1, `{"buildDefinition": {"buildType": "https://example.com/other", "externalParameters": {"workflow": 5}}, "runDetails": {"builder": {"id": "b"}}}`, slsa.Provenance{
			Version: "1", Builder: slsa.Builder{ID: "b", Version: map[string]string{}}, BuildType: "https://example.com/other",
			Source: slsa.Source{Digest: map[string]string{}}, Materials: []slsa.Material{}, Subjects: []slsa.Material{},
			Parameters: slsa.Parameters{External: bounded.Raw(`{"workflow": 5}`)},
		}},
		{"v1 of Google Cloud Build", slsa.TypeV1, `{"buildDefinition": {"buildType": "https://slsa-framework.github.io/gcb-buildtypes/triggered-build/v1", "externalParameters": {
			"buildConfigSource": {"repository": "git+https://example.com/config", "path": "cloudbuild.yaml"}, "sourceToBuild": {"repository": "https://example.com/app", "ref": "refs/heads/x"}}}, "runDetails": {"builder": {"id": "b"}}}`, slsa.Provenance{
			Version: "1", Builder: slsa.Builder{ID: "b", Version: map[string]string{}}, BuildType: "https://slsa-framework.github.io/gcb-buildtypes/triggered-build/v1",
			Source: slsa.Source{
				URI: "git+https://example.com/app@refs/heads/x", Repository: "https://example.com/app", Ref: "refs/heads/x",
				Digest: map[string]string{}, Workflow: "cloudbuild.yaml",
			},
			Materials: []slsa.Material{}, Subjects: []slsa.Material{},
			Parameters: slsa.Parameters{External: bounded.Raw(`{
			"buildConfigSource": {"repository": "git+https://example.com/config", "path": "cloudbuild.yaml"}, "sourceToBuild": {"repository": "https://example.com/app", "ref": "refs/heads/x"}}`)},
		}},
		{"v1 of Google Cloud Build from the repository of its configuration", slsa.TypeV1, `{"buildDefinition": {"buildType": "https://slsa-framework.github.io/gcb-buildtypes/triggered-build/v1",
			"externalParameters": {"buildConfigSource": {"repository": "git+https://example.com/app", "ref": "refs/tags/v1", "path": "cloudbuild.yaml"}},
			"resolvedDependencies": [{"uri": "git+https://example.com/app@refs/tags/v1", "digest": {"gitCommit": "aa"}}]}, "runDetails": {"builder": {"id": "b"}}}`, slsa.Provenance{
			Version: "1", Builder: slsa.Builder{ID: "b", Version: map[string]string{}}, BuildType: "https://slsa-framework.github.io/gcb-buildtypes/triggered-build/v1",
			Source: slsa.Source{
				URI: "git+https://example.com/app@refs/tags/v1", Repository: "https://example.com/app", Ref: "refs/tags/v1",
				Digest: map[string]string{"gitCommit": "aa"}, Workflow: "cloudbuild.yaml",
			},
			Materials: []slsa.Material{{URI: "git+https://example.com/app@refs/tags/v1", Digest: map[string]string{"gitCommit": "aa"}}}, Subjects: []slsa.Material{},
			Parameters: slsa.Parameters{External: bounded.Raw(`{"buildConfigSource": {"repository": "git+https://example.com/app", "ref": "refs/tags/v1", "path": "cloudbuild.yaml"}}`)},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := slsa.FromPredicate([]byte(tt.predicate), tt.predicateType)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			statement := `{"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": "app", "digest": {"sha256": "ff"}}], "predicateType": "` + tt.predicateType + `", "predicate": ` + tt.predicate + `}`
			got, err = slsa.FromStatement([]byte(statement))
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			want.Subjects = []slsa.Material{{Name: "app", Digest: map[string]string{"sha256": "ff"}}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Rego sees null where there are no parameters, and every number as it was written.
func TestParametersAreWrittenAsTheyWere(t *testing.T) {
	t.Parallel()
	got, err := slsa.FromPredicate([]byte(v02), slsa.TypeV02)
	if err != nil {
		t.Fatal(err)
	}
	got.Parameters.Internal = nil
	text, err := json.Marshal(got.Parameters)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"external":{"n":12345678901234567890},"internal":null}`, string(text)); diff != "" {
		t.Error(diff)
	}
}

// A branch may have an @ in its name, and whoever pushes it is not who pushes tags.
func TestSourceIsCutAtTheFirstAt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ uri, repository, ref string }{
		{"git+https://github.com/acme/app@refs/heads/x@refs/tags/v1", "https://github.com/acme/app", "refs/heads/x@refs/tags/v1"},
		{"git+ssh://git@github.com/acme/app@refs/heads/main", "ssh://git@github.com/acme/app", "refs/heads/main"},
		{"https://github.com/acme/app", "https://github.com/acme/app", ""},
		{"git+https://user@example.com", "https://user@example.com", ""},
		{"github.com/acme/app@main", "github.com/acme/app", "main"},
		{"", "", ""},
	} {
		predicate := `{"builder": {"id": "b"}, "buildType": "t", "invocation": {"configSource": {"uri": "` + tt.uri + `"}}}`
		got, err := slsa.FromPredicate([]byte(predicate), slsa.TypeV02)
		if err != nil {
			t.Fatal(err)
		}
		if got.Source.Repository != tt.repository || got.Source.Ref != tt.ref {
			t.Errorf("%s: got %s and %s, want %s and %s", tt.uri, got.Source.Repository, got.Source.Ref, tt.repository, tt.ref)
		}
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	const head = `"buildType": "https://actions.github.io/buildtypes/workflow/v1"`
	for _, tt := range []struct{ name, predicateType, predicate, code, want string }{
		{"v0.1", "https://slsa.dev/provenance/v0.1", `{}`, "unsupported", `predicateType: got "https://slsa.dev/provenance/v0.1", want https://slsa.dev/provenance/v0.2 or https://slsa.dev/provenance/v1`},
		{"a type that begins the same", "https://slsa.dev/provenance/v1-rc1", v1, "unsupported", "predicateType: got"},
		{"a type with a slash more", "https://slsa.dev/provenance/v1/", v1, "unsupported", "predicateType: got"},
		{"cosign's short name", "slsaprovenance", v02, "unsupported", "predicateType: got"},
		{"null", slsa.TypeV1, ` null `, "malformed", "got null, want an object"},
		{"a list", slsa.TypeV1, `[]`, "malformed", "got a list, want an object"},
		{"v1 in the shape of v0.2", slsa.TypeV1, v02, "malformed", "runDetails.builder.id: got none, want one"},
		{"v0.2 in the shape of v1", slsa.TypeV02, v1, "malformed", "builder.id: got none, want one"},
		{"names in another case", slsa.TypeV02, `{"Builder": {"ID": "b"}, "BuildType": "t"}`, "malformed", "builder.id: got none, want one"},
		{"no build type", slsa.TypeV02, `{"builder": {"id": "b"}}`, "malformed", "buildType: got none, want one"},
		{"a builder that is a text", slsa.TypeV02, `{"builder": "b", "buildType": "t"}`, "malformed", "builder: got a string, want an object"},
		{"a builder with a number", slsa.TypeV02, `{"builder": {"id": 1}, "buildType": "t"}`, "malformed", "builder.id: got a number, want a string"},
		{"two builders", slsa.TypeV02, `{"builder": {"id": "a"}, "builder": {"id": "b"}, "buildType": "t"}`, "malformed", "builder: got the key twice"},
		{"materials that are an object", slsa.TypeV02, `{"builder": {"id": "b"}, "buildType": "t", "materials": {"uri": "a"}}`, "malformed", "materials: got an object, want a list"},
		{"a digest that is a text", slsa.TypeV02, `{"builder": {"id": "b"}, "buildType": "t", "materials": [{}, {"digest": "sha1:aa"}]}`, "malformed", "materials[1].digest: got a string, want an object"},
		{"two invocation IDs that differ", slsa.TypeV02, `{"builder": {"id": "b"}, "buildType": "t", "metadata": {"buildInvocationId": "1", "buildInvocationID": "2"}}`, "malformed", `metadata.buildInvocationID: got "2", want what buildInvocationId is`},
		{"a time that is none", slsa.TypeV02, `{"builder": {"id": "b"}, "buildType": "t", "metadata": {"buildStartedOn": "today"}}`, "malformed", `metadata.buildStartedOn: got "today", want a time`},
		{"parameters that are a list", slsa.TypeV02, `{"builder": {"id": "b"}, "buildType": "t", "invocation": {"parameters": [1]}}`, "malformed", "invocation.parameters: got a list, want an object"},
		{"a workflow that is a text", slsa.TypeV1, `{"buildDefinition": {` + head + `, "externalParameters": {"workflow": "x"}}, "runDetails": {"builder": {"id": "b"}}}`, "malformed", "buildDefinition.externalParameters.workflow: got a string, want an object"},
		{"a ref that is a list", slsa.TypeV1, `{"buildDefinition": {` + head + `, "externalParameters": {"workflow": {"ref": ["a"]}}}, "runDetails": {"builder": {"id": "b"}}}`, "malformed", "buildDefinition.externalParameters.workflow.ref: got a list, want a string"},
		{"a hundred megabytes", slsa.TypeV1, strings.Repeat(" ", 100<<20), "too_large", "got 104857600 bytes"},
		{"very deep parameters", slsa.TypeV1, `{"buildDefinition": {"externalParameters": ` + strings.Repeat(`{"a":`, 80) + "1" + strings.Repeat("}", 82), "too_large", "deeper than 64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := slsa.FromPredicate([]byte(tt.predicate), tt.predicateType)
			refused(t, err, tt.code, tt.want)
			if diff := cmp.Diff(slsa.Provenance{}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStatementRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, statement, code, want string }{
		{"a statement of another kind", `{"_type": "https://in-toto.io/Statement/v2", "predicateType": "` + slsa.TypeV1 + `", "predicate": {}}`, "unsupported", "_type: got"},
		{"a predicate alone", v1, "unsupported", `_type: got ""`},
		{"a field of the predicate", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "` + slsa.TypeV02 + `", "predicate": {"builder": {"id": []}}}`, "malformed", "predicate.builder.id: got a list, want a string"},
		{"a predicate type that is not read", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "https://spdx.dev/Document", "predicate": {}}`, "unsupported", "predicateType: got"},
		{"no predicate", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "` + slsa.TypeV1 + `"}`, "malformed", "predicate: got none, want one"},
		{"a predicate of null", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "` + slsa.TypeV1 + `", "predicate": null}`, "malformed", "predicate: got null, want an object"},
		{"a subject that is a text", `{"_type": "https://in-toto.io/Statement/v1", "predicateType": "` + slsa.TypeV1 + `", "predicate": {}, "subject": ["a"]}`, "malformed", "subject[0]: got a string, want an object"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := slsa.FromStatement([]byte(tt.statement))
			refused(t, err, tt.code, tt.want)
		})
	}
}

// refused wants a *bounded.Error with a code and a text.
func refused(t *testing.T, err error, code, want string) {
	t.Helper()
	var got *bounded.Error
	if !errors.As(err, &got) {
		t.Fatalf("got %v, want a *bounded.Error", err)
	}
	if string(got.Code) != code || !strings.Contains(got.Error(), want) {
		t.Errorf("got %s: %s, want %s: …%s…", got.Code, got, code, want)
	}
}

func FuzzFromPredicate(f *testing.F) {
	for _, seed := range []string{v02, v1, `{"builder":{"id":"b"},"buildType":"t","invocation":{"configSource":{"uri":"a@b/c@d"}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, predicateType := range []string{slsa.TypeV02, slsa.TypeV1} {
			got, err := slsa.FromPredicate(data, predicateType)
			var refusal *bounded.Error
			switch {
			case err != nil && !errors.As(err, &refusal):
				t.Fatalf("got %T, want a *bounded.Error", err)
			case err == nil && (got.Builder.ID == "" || got.BuildType == "" || got.Materials == nil || got.Source.Digest == nil):
				t.Fatalf("got %+v, want every field there", got)
			case err == nil:
				if _, err := json.Marshal(got); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

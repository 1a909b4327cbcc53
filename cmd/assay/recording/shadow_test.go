package recording_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assay-dev/assay/cmd/assay/recording"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/rego/resource"
)

// TestShadowReadsLabelsOfTheTime: those of the cluster when the decision was made, or where a label changed
// while it was made, those that it read and no others.
func TestShadowReadsLabelsOfTheTime(t *testing.T) {
	t.Parallel()
	type labels = map[string]map[string]string
	const live = "package policies.live\n\ndeny contains \"db\" if data.assay.namespaces.prod.labels.tier == \"db\"\n"
	const other = "package policies.other\n\ndeny contains \"frozen\" if data.assay.namespaces.base.labels.frozen\n"
	for name, tt := range map[string]struct {
		live      map[string]string
		known     labels
		want      string
		candidate string
	}{
		"a namespace that the decision did not read": {nil, labels{"prod": {}, "base": {"frozen": "yes"}}, "failed policy: other: frozen", other},
		"one that it read, which is as it was":       {map[string]string{"l.rego": live}, labels{"prod": {"tier": "web"}, "base": {"frozen": "yes"}}, "failed policy: other: frozen", other},
		"one that changed since":                     {map[string]string{"l.rego": live}, labels{"prod": {"tier": "db"}}, "", live},
		"another one, where one changed":             {map[string]string{"l.rego": live}, labels{"prod": {"tier": "db"}, "base": {}}, "namespace base", other},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			then := rego.NewNamespaces(labels{"prod": {"tier": "web"}, "base": {"frozen": "yes"}})
			r := open(t, setup{record: true, modules: tt.live, namespaces: func() *rego.Namespaces { return then }})
			r.decide(t, r.image("app"))
			source := r.made[0].Set.Source()
			source.Modules = map[string]string{"c.rego": tt.candidate}
			shadow, err := recording.NewShadow(t.Context(), recording.Policies{Source: source}, recording.Beside{})
			if err != nil {
				t.Fatal(err)
			}
			judged, _, err := shadow.Judge(t.Context(), r.made[0], rego.NewNamespaces(tt.known))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(append(judged.Decision.Reasons, judged.NotRecorded...), "; ")
			if !strings.HasPrefix(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestShadowOfAnotherWorkload finds other credentials in the object than the decision did: what was answered
// to those says nothing.
func TestShadowOfAnotherWorkload(t *testing.T) {
	t.Parallel()
	paths := func(at string) []resource.WorkloadPaths {
		documents, err := cip.Parse([]byte("apiVersion: policy.assay.dev/v1alpha1\nkind: WorkloadPaths\nmetadata: {name: jobs}\n" +
			"spec: {group: batch.example, kind: Twins, versions: [v1], podSpecs: [" + at + "]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := resource.ReadWorkloadPaths(documents.Others[0].Tree)
		if err != nil {
			t.Fatal(err)
		}
		return []resource.WorkloadPaths{out}
	}
	twins := func(image, first, second string) []byte {
		spec := func(account string) string {
			return fmt.Sprintf(`{"serviceAccountName": %q, "containers": [{"name": "c", "image": %q}]}`, account, image)
		}
		return fmt.Appendf(nil, `{"request": {"uid": "1", "operation": "CREATE", "namespace": "prod", "kind": {"group": "batch.example", "version": "v1", "kind": "Twins"},`+
			`"object": {"spec": {"one": %s, "two": %s}}}}`, spec(first), spec(second))
	}
	for name, tt := range map[string]struct {
		second  string
		unknown bool
	}{"the same account": {"one", false}, "another account": {"two", true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, setup{record: true, workloads: paths("spec.one")})
			if d, err := r.Decide(t.Context(), twins(r.image("app"), "one", tt.second)); err != nil || !d.Allowed || len(d.Images) != 1 {
				t.Fatalf("got %+v, %v, want one image admitted", d, err)
			}
			source := r.made[0].Set.Source()
			source.Workloads = paths("spec.two")
			shadow, err := recording.NewShadow(t.Context(), recording.Policies{Source: source}, recording.Beside{})
			if err != nil {
				t.Fatal(err)
			}
			judged, _, err := shadow.Judge(t.Context(), r.made[0], nil)
			if err != nil || judged.Decision.Allowed == tt.unknown || len(judged.NotRecorded) > 0 != tt.unknown {
				t.Errorf("got %v, not recorded %q, %v, want it unknown: %t", judged.Decision.Reasons, judged.NotRecorded, err, tt.unknown)
			}
		})
	}
}

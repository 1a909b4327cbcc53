package assay_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// The tests of this file hold deploy/ to the program and the documents. That the manifests are
// those of the chart, and what a cluster makes of them, are tests of e2e/.

const chart = "deploy/chart"

// manifest gives the documents of a file of deploy/manifests that are of a kind.
func manifest(t *testing.T, file, kind string) []string {
	t.Helper()
	var out []string
	for document := range strings.SplitSeq(read(t, filepath.Join("deploy/manifests", file)), "\n---\n") {
		if strings.Contains(document, "\nkind: "+kind+"\n") {
			out = append(out, document)
		}
	}
	return out
}

func TestManifestsHaveFlagsOfTheProgram(t *testing.T) {
	t.Parallel()
	var deployment appsv1.Deployment
	if err := yaml.UnmarshalStrict([]byte(manifest(t, "4-deployment.yaml", "Deployment")[0]), &deployment); err != nil {
		t.Fatal(err)
	}
	container := deployment.Spec.Template.Spec.Containers[0]
	if command := container.Args[0]; command != "serve" {
		t.Errorf("got the command %q, want serve", command)
	}
	known := flagsOf(helpTexts(t)["serve"])
	for _, argument := range container.Args[1:] {
		flag, _, _ := strings.Cut(argument, "=")
		if !slices.Contains(known, flag) {
			t.Errorf("%s: got a flag of the manifests, want one of the program", flag)
		}
	}
}

// TestRightsAreThoseOfTheTable compares what the manifests grant with docs/cluster.md.
func TestRightsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	documented, granted := map[string]bool{}, map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| [^|]+ \| ([^|]+) \| ([^|]+) \| ([^|]+) \| (cluster|system namespace) \|`).FindAllStringSubmatch(section(read(t, "docs/cluster.md"), "Rights"), -1) {
		for resource := range strings.SplitSeq(row[2], ", ") {
			for verb := range strings.SplitSeq(row[3], ", ") {
				group := strings.Trim(row[1], "`")
				documented[strings.Join([]string{row[4], group, strings.Trim(resource, "`"), verb}, " ")] = true
			}
		}
	}
	for kind, scope := range map[string]string{"ClusterRole": "cluster", "Role": "system namespace"} {
		for _, text := range manifest(t, "2-rbac.yaml", kind) {
			var role rbacv1.ClusterRole // a Role reads the same
			if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(text, "rbac.authorization.k8s.io/aggregate-to-") {
				continue // the rights of users
			}
			for _, rule := range role.Rules {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						group := rule.APIGroups[0]
						if group == "" {
							group = "core"
						}
						granted[strings.Join([]string{scope, group, resource, verb}, " ")] = true
					}
				}
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(granted))); diff != "" {
		t.Errorf("rights (-docs/cluster.md +deploy/manifests):\n%s", diff)
	}
}

// series are those that the program has from its start on, by the name of the metric.
func series(t *testing.T) map[string][]map[string]string {
	t.Helper()
	out := map[string][]map[string]string{}
	for _, f := range families(t) {
		names := []string{f.name}
		if f.histogram {
			names = []string{f.name + "_bucket", f.name + "_sum", f.name + "_count"}
		}
		for _, name := range names {
			out[name] = f.series
		}
	}
	return out
}

// expressions are those of the alerts and of the dashboard, and those that docs/observability.md proposes.
func expressions(t *testing.T) []string {
	t.Helper()
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations struct{ Summary, Description string }
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, chart+"/files/alerts.yaml")), &alerts); err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(read(t, chart+"/files/dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, group := range alerts.Groups {
		for _, rule := range group.Rules {
			if rule.Alert == "" || rule.Annotations.Summary == "" || rule.Annotations.Description == "" {
				t.Errorf("%+v: got an alert that says too little", rule)
			}
			out = append(out, rule.Expr)
		}
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			out = append(out, target.Expr)
		}
	}
	// A name alone may be that of a histogram.
	for _, found := range regexp.MustCompile("`([^`]*assay_[a-z_]+[^`]*[({=<>][^`]*)`").FindAllStringSubmatch(read(t, "docs/observability.md"), -1) {
		out = append(out, found[1])
	}
	return out
}

// TestAlertsAndPanelsAreOfMetricsThatExist: each selector finds a series that the program has when it starts. The labels
// namespace and pod are Prometheus's.
func TestAlertsAndPanelsAreOfMetricsThatExist(t *testing.T) {
	t.Parallel()
	selector := regexp.MustCompile(`\b((?:assay|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	matcher := regexp.MustCompile(`^([a-z]+)(=~|=)"([^"]*)"$`)
	known, checked := series(t), 0
	for _, expression := range expressions(t) {
		for _, found := range selector.FindAllStringSubmatch(expression, -1) {
			checked++
			candidates := slices.Clone(known[found[1]])
			if len(candidates) == 0 {
				t.Errorf("%s: got no metric %s", expression, found[1])
			}
			for text := range strings.SplitSeq(found[2], ",") {
				parts := matcher.FindStringSubmatch(text)
				if parts == nil || parts[1] == "namespace" || parts[1] == "pod" {
					continue
				}
				for value := range strings.SplitSeq(parts[3], "|") {
					if !slices.ContainsFunc(candidates, func(labels map[string]string) bool { return labels[parts[1]] == value }) {
						t.Errorf("%s: got no series of %s with %s=%q", expression, found[1], parts[1], value)
					}
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("got %d selectors, want those of all alerts and panels", checked)
	}
}

// TestWhatBundlesAndDecisionLogsLoseHasAlerts: a fleet is blind otherwise.
func TestWhatBundlesAndDecisionLogsLoseHasAlerts(t *testing.T) {
	t.Parallel()
	alerts, page := read(t, chart+"/files/alerts.yaml"), section(read(t, "docs/observability.md"), "Alerts")
	for _, metric := range []string{
		"assay_bundle_expiry_timestamp_seconds", "assay_bundle_confirmed_timestamp_seconds", "assay_bundle_failing",
		"assay_decision_log_entries_total", "assay_decision_log_opa_total",
	} {
		for place, text := range map[string]string{"the alerts of the chart": alerts, "docs/observability.md": page} {
			if !strings.Contains(text, metric) {
				t.Errorf("%s: got nothing about %s, want an alert", place, metric)
			}
		}
	}
}

const installPage = "docs/install-cluster.md"

var valuesBlock = regexp.MustCompile(`(?s)(<!-- values, written by make golden -->\n).*?(<!-- end -->)`)

// TestValuesAreThoseOfTheSchema makes the table of values from the schema and the defaults.
func TestValuesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	var schema, values map[string]any
	if err := json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	table := "\n| value | default | |\n|---|---|---|\n" + strings.Join(valueRows(t, "", schema, values), "") + "\n"
	page := read(t, installPage)
	got := valuesBlock.ReplaceAllString(page, "${1}"+strings.ReplaceAll(table, "$", "$$")+"${2}")
	if *update {
		if err := os.WriteFile(installPage, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(page, got); diff != "" {
		t.Errorf("%s is older than the schema, run make golden (-want +got):\n%s", installPage, diff)
	}
}

// valueRows has a row for each value with a description: of an object with one, its fields have none.
func valueRows(t *testing.T, path string, schema map[string]any, preset any) []string {
	t.Helper()
	if text, ok := schema["description"].(string); ok && path != "" {
		shown := ""
		if preset != nil && preset != "" {
			encoded, err := json.Marshal(preset)
			if err != nil {
				t.Fatal(err)
			}
			shown = "`" + strings.Trim(string(encoded), `"`) + "`"
		}
		return []string{fmt.Sprintf("| `%s` | %s | %s |\n", path, shown, strings.ReplaceAll(text, "|", `\|`))}
	}
	fields, _ := schema["properties"].(map[string]any)
	if len(fields) == 0 {
		t.Errorf("values.schema.json: %s: got no description, want one", path)
	}
	presets, _ := preset.(map[string]any)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		out = append(out, valueRows(t, strings.TrimPrefix(path+"."+name, "."), fields[name].(map[string]any), presets[name])...)
	}
	return out
}

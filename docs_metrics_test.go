package assay_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assay-dev/assay/builtins/keep"
	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/store"
	"github.com/assay-dev/assay/rego/cip"
	"github.com/assay-dev/assay/server"
	"github.com/assay-dev/assay/telemetry"
)

// family is a metric, with the labels of its series.
type family struct {
	name      string
	histogram bool
	series    []map[string]string
}

const warnsAlone = `apiVersion: policy.sigstore.dev/v1beta1
kind: ClusterImagePolicy
metadata: {name: warns}
spec: {mode: warn, images: [{glob: "**"}], authorities: [{static: {action: fail}}]}
`

// families are all metrics that the program has, those of the process among them.
func families(t *testing.T) (out []family) {
	t.Helper()
	registerer := server.NewMetrics("test").Registerer()
	seen := telemetry.New(registerer)
	seen.WatchCache("answers", &keep.Looked{})
	seen.WatchRoots(func() []telemetry.Root { return []telemetry.Root{{Name: "r", Expires: time.Unix(1, 0)}} })
	seen.WatchBundles(func() []telemetry.Bundle {
		return []telemetry.Bundle{{Name: "b", Revision: "1", Expires: time.Unix(1, 0)}}
	}, func() telemetry.Activations { return telemetry.Activations{} })
	no, none := func() bool { return false }, func() uint64 { return 0 }
	seen.Canary([]string{"same"}, no)
	var losses []telemetry.Loss
	for _, loss := range decisions.Losses() {
		losses = append(losses, telemetry.Loss{Kind: loss.Name, Count: none})
	}
	logs := seen.WatchLogs(losses)
	for _, lost := range outcome.Losses() {
		logs.Became(string(lost.Place), string(lost.Result), 0)
	}
	seen.WatchCluster(telemetry.Cluster{Synced: no, Leading: no, Stale: func() []time.Time { return nil }, Dropped: none, Limited: none})
	documents, err := cip.Parse([]byte(warnsAlone))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rego.Compile(t.Context(), rego.Source{Policies: documents.Policies, Open: func(rego.Workload) rego.Answers { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	seen.Serves(set)
	gatherer, ok := registerer.(prometheus.Gatherer)
	if !ok {
		t.Fatal("metrics: got a registerer that does not gather")
	}
	gathered, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gathered {
		f := family{name: g.GetName(), histogram: g.GetType().String() == "HISTOGRAM"}
		for _, metric := range g.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			f.series = append(f.series, labels)
		}
		out = append(out, f)
	}
	return out
}

// metrics are those of our own, each with its labels in braces.
func metrics(t *testing.T) (out []string) {
	t.Helper()
	for _, f := range families(t) {
		if !strings.HasPrefix(f.name, "assay_") {
			continue
		}
		labels := slices.Sorted(maps.Keys(f.series[0]))
		if len(labels) > 0 {
			f.name += "{" + strings.Join(labels, ",") + "}"
		}
		out = append(out, f.name)
	}
	return out
}

func TestDocsListEveryMetric(t *testing.T) {
	t.Parallel()
	same(t, "docs/serve.md", matching(codeSpans(read(t, "docs/serve.md")), `^assay_`), metrics(t))
}

// TestDocsNameMetricsThatExist: an alert about another one never fires.
func TestDocsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	present := []string{store.Name} // a plugin
	for _, name := range metrics(t) {
		name, _, _ = strings.Cut(name, "{")
		present = append(present, name)
	}
	for _, path := range documents(t) {
		for _, name := range regexp.MustCompile(`\bassay_[a-z_]+[a-z]\b`).FindAllString(read(t, path), -1) {
			base := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
			if !slices.Contains(present, name) && !slices.Contains(present, base) {
				t.Errorf("%s: got %s, which is no metric", path, name)
			}
		}
	}
}

// TestDocsListEveryAttribute of spans, with those of packages that telemetry is not held to.
func TestDocsListEveryAttribute(t *testing.T) {
	t.Parallel()
	text := read(t, "telemetry/spans.go")
	var present []string
	for _, found := range regexp.MustCompile(`attribute\.[A-Za-z0-9]+\("([a-z._]+)"`).FindAllStringSubmatch(text, -1) {
		present = append(present, found[1])
	}
	same(t, "docs/observability.md", matching(codeSpans(read(t, "docs/observability.md")), `^(assay|server)\.`), present)
}

// TestTelemetryKnowsEveryCode of the builtins, whose list Go does not have.
func TestTelemetryKnowsEveryCode(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "builtins/declare/problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known := telemetry.Codes()
	ast.Inspect(file, func(node ast.Node) bool {
		value, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, expression := range value.Values {
			literal, ok := expression.(*ast.BasicLit)
			if !ok {
				continue
			}
			if code, err := strconv.Unquote(literal.Value); err == nil && !slices.Contains(known, code) {
				t.Errorf("telemetry counts no %s", code)
			}
		}
		return true
	})
}

package decisions_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/plugins"
	"github.com/open-policy-agent/opa/v1/plugins/discovery"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
	"github.com/assay-dev/assay/rego/bundle/decisions/store"
)

// page is docs/decision-logs.md, and the blocks of a language in it.
func page(t *testing.T, language string) (text string, blocks []string) {
	t.Helper()
	content, err := os.ReadFile("../../../docs/decision-logs.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```").FindAllSubmatch(content, -1) {
		blocks = append(blocks, string(found[1]))
	}
	return string(content), blocks
}

func TestDocsConfigsAreAccepted(t *testing.T) {
	t.Parallel()
	_, configs := page(t, "yaml")
	if len(configs) != 5 {
		t.Errorf("got %d configs, want 5", len(configs))
	}
	for _, config := range configs {
		config = strings.NewReplacer("/var/log/assay", t.TempDir(), "${HOSTNAME}", "assay-0").Replace(config)
		m, err := plugins.New([]byte(config), "id", inmem.New())
		if err == nil {
			factories := decisions.Factories(decisions.Sinks{Open: func(string) (store.Store, error) { return directory(""), nil }})
			_, err = discovery.New(m, discovery.Factories(factories))
		}
		if err != nil {
			t.Errorf("%v\n%s", err, config)
			continue
		}
		if logs.Lookup(m) == nil {
			t.Errorf("got no decision logs with\n%s", config)
		}
	}
}

// TestDocsEntryHasTheMembersOfARealOne compares the places of all members.
func TestDocsEntryHasTheMembersOfARealOne(t *testing.T) {
	t.Parallel()
	_, blocks := page(t, "json")
	shown := events(t, []json.RawMessage{json.RawMessage(blocks[0])})[0]
	_, real := one(t, setup{}, newEngine(t).decide(t, "bare"))
	shown.Bundles, real.Bundles = nil, nil // there are none here
	if diff := cmp.Diff(places(t, real), places(t, shown)); diff != "" {
		t.Error(diff)
	}
}

// places are those of all members of an event, operands left out.
func places(t *testing.T, event logs.EventV1) (out []string) {
	t.Helper()
	var walk func(place string, value any)
	walk = func(place string, value any) {
		switch value := value.(type) {
		case []any:
			for _, item := range value {
				walk(place+"[]", item)
			}
		case map[string]any:
			for name, item := range value {
				if strings.HasPrefix(name, "[") {
					name = "[…]"
				}
				walk(place+"."+name, item)
			}
		default:
			out = append(out, place)
		}
	}
	var document any
	if err := json.Unmarshal(mustJSON(t, event), &document); err != nil {
		t.Fatal(err)
	}
	walk("", document)
	slices.Sort(out)
	return slices.Compact(out)
}

// TestDocsPolicyMasksAndDrops evaluates the policy of the page.
func TestDocsPolicyMasksAndDrops(t *testing.T) {
	t.Parallel()
	_, policies := page(t, "rego")
	e := newEngine(t)
	app, bare := e.decide(t, "app"), e.decide(t, "bare")
	app.Review = []byte(strings.Replace(string(app.Review), `"prod"`, `"kube-system"`, 1))
	bare.Review = []byte(strings.NewReplacer(`"request":{`, `"request":{"userInfo":{"username":"somebody"},`, `"metadata":{`, `"metadata":{"annotations":{"a/b":"c"},`).Replace(string(bare.Review)))
	c := collect(t)
	m := log(t, setup{config: c.config("  mask_decision: /logging/mask\n  drop_decision: /logging/drop\n"), policy: policies[0]}, app, bare)
	if len(c.entries) != 1 || m.counts.get(outcome.LeftOut) != 1 {
		t.Fatalf("got %d entries and %v, want one, and one left out", len(c.entries), m.counts.of)
	}
	event := events(t, c.entries)[0]
	if !slices.Equal(event.Erased, []string{"/input/request/userInfo"}) || !slices.Equal(event.Masked, []string{"/input/request/object/metadata/annotations"}) {
		t.Errorf("got erased %q and masked %q", event.Erased, event.Masked)
	}
}

func TestDocsListWhatIsCounted(t *testing.T) {
	t.Parallel()
	text, _ := page(t, "")
	for _, result := range []outcome.Result{outcome.Delivered, outcome.Dropped, outcome.Failed, outcome.Masking, outcome.LeftOut, outcome.Unasked} {
		if !strings.Contains(text, "| `"+string(result)+"` |") {
			t.Errorf("result %s: no row in the table", result)
		}
	}
	for _, loss := range decisions.Losses() {
		if !strings.Contains(text, "| `"+loss.Name+"` |") {
			t.Errorf("counter %s: no row in the table", loss.Name)
		}
	}
}

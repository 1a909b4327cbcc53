package decisions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/plugins/logs"
	"github.com/open-policy-agent/opa/v1/server"
	"github.com/open-policy-agent/opa/v1/topdown"
	topbuiltins "github.com/open-policy-agent/opa/v1/topdown/builtins"

	"github.com/assay-dev/assay/rego"
	"github.com/assay-dev/assay/rego/bundle/decisions"
	"github.com/assay-dev/assay/rego/bundle/decisions/outcome"
)

// one is the entry of one decision, as it was uploaded.
func one(t *testing.T, s setup, made rego.Made) (raw json.RawMessage, event logs.EventV1) {
	t.Helper()
	c := collect(t)
	s.config = c.config(s.config)
	m := log(t, s, made)
	if len(c.entries) != 1 || m.counts.get(outcome.Delivered) != 1 {
		t.Fatalf("got %d entries and %v, want one that is delivered", len(c.entries), m.counts.of)
	}
	return c.entries[0], events(t, c.entries)[0]
}

// TestEntryHasTheDecision holds the members of an entry to what they are about.
func TestEntryHasTheDecision(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	made := e.decide(t, "bare")
	traced := func(context.Context) (trace, span string) { return "t", "s" }
	revisions := func(set *rego.Set) map[string]string { return map[string]string{"main": set.Hash()[:8]} }
	_, event := one(t, setup{options: decisions.Options{Traced: traced, Bundles: revisions}}, made)

	var result rego.Decision
	into(t, event.Result, &result)
	want := made.Decision
	want.Rego, result.Rego, want.Warnings, result.Warnings = nil, nil, nil, nil // they repeat what is masked
	if diff := cmp.Diff(want, result); diff != "" {
		t.Errorf("result: %s", diff)
	}
	image := made.Decision.Images[0]
	asks, _ := json.Marshal([]string{image.Image})
	cache := (*event.NDBuiltinCache).(map[string]any)
	resolved := cache["oci.resolve"].(map[string]any)[string(asks)].(map[string]any)
	if got := resolved["evidence"]; !cmp.Equal(got, []any{image.Digest}) || resolved["ok"] != true {
		t.Errorf("got %v, want the digest of the image", resolved)
	}
	for _, verified := range cache["cosign.verify"].(map[string]any) {
		if got := verified.(map[string]any); got["code"] != "no_signatures" || got["ok"] != false {
			t.Errorf("got %v, want why there is nothing", got)
		}
	}
	if event.Metrics["timer_rego_query_eval_ns"] == nil || event.Metrics["counter_assay_evaluations"] != float64(len(made.Passes)) {
		t.Errorf("got %v, want how long it took and how often", event.Metrics)
	}
	got := []any{event.Path, event.TraceID, event.SpanID, event.Labels["cluster"], event.Bundles["main"].Revision, event.Timestamp.String(), event.Custom}
	if diff := cmp.Diff([]any{
		"assay/admission/decision", "t", "s", "north", made.Set.Hash()[:8], "2026-06-01 12:00:01 +0000 UTC", map[string]any{
			"call": "validate", "policy_set": made.Set.Hash(), "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
			"masked": []any{"input.request.object.spec.containers[0].env[0].value"},
		},
	}, got); diff != "" {
		t.Error(diff)
	}
}

func into(t *testing.T, value *any, out any) {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, out); err != nil {
		t.Fatal(err)
	}
}

// TestEntryIsOneOfOPAsServer asks OPA's own server the same question about the same
// review, and compares what it logs.
func TestEntryIsOneOfOPAsServer(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	raw, ours := one(t, setup{}, e.decide(t, "app"))

	c := collect(t)
	m := mustServe(t, setup{config: c.config("nd_builtin_cache: true\n"), policy: "package assay.admission\nimport rego.v1\ndecision := {\"allowed\": time.now_ns() > 0}"})
	opa, err := server.New().WithStore(m.Store).WithManager(m.Manager).WithDecisionIDFactory(func() string { return "id" }).WithNDBCacheEnabled(true).
		WithDecisionLoggerWithErr(func(ctx context.Context, info *server.Info) error { return logs.Lookup(m.Manager).Log(ctx, info) }).Init(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	input, _ := json.Marshal(map[string]any{"input": *ours.Input})
	asked := httptest.NewRequest(http.MethodPost, "/v1/data/assay/admission/decision", bytes.NewReader(input))
	answer := httptest.NewRecorder()
	if opa.Handler.ServeHTTP(answer, asked); answer.Code != http.StatusOK {
		t.Fatalf("got %d: %s", answer.Code, answer.Body)
	}
	m.Stop(context.WithoutCancel(t.Context()))
	if len(c.entries) != 1 {
		t.Fatalf("got %d entries of OPA's server, want one", len(c.entries))
	}
	theirs := events(t, c.entries)[0]
	if got, want := members(t, raw, "custom"), members(t, c.entries[0]); !slices.Equal(got, want) {
		t.Errorf("got the members %q, want %q", got, want)
	}
	if got, want := ours.Path, theirs.Path; got != want {
		t.Errorf("got path %q, want %q", got, want)
	}
	if diff := cmp.Diff(*theirs.Input, *ours.Input); diff != "" {
		t.Error(diff)
	}
	if _, ok := (*theirs.NDBuiltinCache).(map[string]any)["time.now_ns"].(map[string]any)["[]"]; !ok {
		t.Errorf("got %v, want operands as a list in a text, as ours are", *theirs.NDBuiltinCache)
	}
}

func members(t *testing.T, raw json.RawMessage, but ...string) []string {
	t.Helper()
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		t.Fatal(err)
	}
	for _, name := range but {
		if object[name] == nil {
			t.Errorf("%s: got none, want one", name)
		}
		delete(object, name)
	}
	return slices.Sorted(maps.Keys(object))
}

// TestOPACannotReadAnErrorBack is why no entry has one. Where this fails, they can.
func TestOPACannotReadAnErrorBack(t *testing.T) {
	t.Parallel()
	encoded, err := json.Marshal(logs.EventV1{Error: &topdown.Error{Code: topdown.InternalErr}})
	if err != nil {
		t.Fatal(err)
	}
	var event logs.EventV1
	if err := json.Unmarshal(encoded, &event); err == nil {
		t.Error("got an event, want an error: what is said in the package's comment is no longer so")
	}
}

func TestDecisionThatFailedHasItsCause(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "bare")
	made.Err, made.Decision = errors.New("decide: context deadline exceeded, with "+password), rego.Decision{}
	raw, event := one(t, setup{}, made)
	cause, _ := event.Custom["error"].(string)
	if event.Result != nil || !strings.HasPrefix(cause, "decide: context deadline exceeded, with masked-") {
		t.Errorf("got result %v and cause %q, want the cause alone", event.Result, cause)
	}
	if slices.Contains(members(t, raw), "error") {
		t.Errorf("got %s, want no member that OPA cannot read back", raw)
	}
}

func TestReviewThatCannotBeReadIsNotShown(t *testing.T) {
	t.Parallel()
	for _, review := range []string{`{"request": {"env": [{"value": "` + password + `"}]`, `["` + password + `"]`, "", "null", `"x"`} {
		set := newEngine(t).Set()
		raw, event := one(t, setup{}, rego.Made{Set: set, Review: []byte(review), Err: errors.New("review: unexpected end of JSON input")})
		if event.Input != nil || bytes.Contains(raw, []byte(password)) || !cmp.Equal(event.Custom["erased"], []any{"input"}) {
			t.Errorf("review %q: got %s, want nothing of it", review, raw)
		}
	}
}

func TestMutationHasItsPath(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	if _, err := e.Mutate(t.Context(), pod(e.world.Expand("${app}"))); err != nil {
		t.Fatal(err)
	}
	if _, event := one(t, setup{}, e.made[0]); event.Path != "assay/mutation/decision" || event.Custom["call"] != "mutate" {
		t.Errorf("got %s and %v", event.Path, event.Custom)
	}
}

// TestLargeReviewKeepsItsDecision leaves out what makes it large, and masks all the same.
func TestLargeReviewKeepsItsDecision(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	made := e.decide(t, "bare")
	large := func(place string) []byte {
		fill, _ := json.Marshal(strings.Repeat("x", 20<<10))
		return bytes.Replace(made.Review, []byte(place), append(append([]byte{}, place...), append([]byte(`"fill":`), append(fill, ',')...)...), 1)
	}
	for _, tt := range []struct {
		name   string
		review []byte
		most   int
		erased []any
		kept   bool
	}{
		{"within the bound", made.Review, len(made.Review) + 100, nil, true},
		{"a large object", large(`"object":{`), 10 << 10, []any{"input.request.object"}, true},
		{"a large member of the request", large(`"request":{`), 10 << 10, []any{"input.request.fill", "input.request.object"}, true},
		{"a bound that nothing fits", made.Review, 10, []any{"input"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			made := made
			made.Review = tt.review
			raw, event := one(t, setup{options: decisions.Options{MostInput: tt.most}}, made)
			if erased, _ := event.Custom["erased"].([]any); !cmp.Equal(erased, tt.erased) || (event.Input != nil) != tt.kept {
				t.Errorf("got erased %v and input %v, want %v", erased, event.Input != nil, tt.erased)
			}
			if event.Result == nil || bytes.Contains(raw, []byte(password)) {
				t.Errorf("got %s, want the decision, masked", raw)
			}
		})
	}
}

// answered are the answers of a decision, as a session has them.
type answered struct {
	facts
	answers map[string]any
	cost    int64
}

type facts = rego.Answers

func (a answered) Answers(tell func(question string, answer any, cost int64)) {
	for question, answer := range a.answers {
		tell(question, answer, a.cost)
	}
}

// TestEvidenceIsDigests holds the questions to how OPA writes them, and the answers to bounds.
func TestEvidenceIsDigests(t *testing.T) {
	t.Parallel()
	made := newEngine(t).decide(t, "bare")
	digests := ast.NewArray()
	for i := range 70 {
		digests = digests.Append(ast.StringTerm("sha256:" + strings.Repeat("0", 62) + string(rune('a'+i/16%6)) + string("0123456789abcdef"[i%16])))
	}
	const object = `{"ok": true, "value": {"a": [1, null], "digest": "sha256:` + "1111111111111111111111111111111111111111111111111111111111111111" + `"}, "error": null}`
	for _, tt := range []struct {
		name     string
		operands []string
		answer   *ast.Term
		want     string
	}{
		{
			"a text", []string{`"a\"b"`}, ast.MustParseTerm(`{"ok": false, "error": {"code": "timeout", "message": "x"}}`),
			`{"[\"a\\\"b\"]":{"code":"timeout","digest":"sha256:1994fb04066701d12949ba7999226ada9d116bd00a209160040027ce2c958c94","ok":false}}`,
		},
		{
			"an object", []string{`"x"`, `{"a": [1, true], "b": "c d"}`}, ast.MustParseTerm(object),
			`{"[\"x\",{\"a\":[1,true],\"b\":\"c d\"}]":{"digest":"","evidence":["sha256:1111111111111111111111111111111111111111111111111111111111111111"],"ok":true}}`,
		},
		{"a set", []string{`{"a", "b"}`}, ast.MustParseTerm(`{"ok": true}`), `{"[\"{\\\"a\\\", \\\"b\\\"}\"]":{"digest":"","ok":true}}`},
		{
			"a large operand", []string{`"` + strings.Repeat("x", 1<<10) + `"`}, ast.MustParseTerm(`{"ok": true}`),
			`{"[\"sha256:fb3149c554be5ec00d1bea9729dc8e88e779150c7b152ab7c7f875d5d5215237\"]":{"digest":"","ok":true}}`,
		},
		{"more digests than an entry has", []string{`"x"`}, ast.NewTerm(digests), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			made := made
			made.Answers = answered{made.Answers, map[string]any{strings.Join(append([]string{"oci.x"}, tt.operands...), "\x00"): tt.answer}, 0}
			_, event := one(t, setup{}, made)
			of := (*event.NDBuiltinCache).(map[string]any)["oci.x"].(map[string]any)
			var said map[string]any
			for _, value := range of {
				said = value.(map[string]any)
			}
			if tt.want == "" {
				if evidence, _ := said["evidence"].([]any); len(evidence) != 64 || said["evidence_omitted"] != 6.0 {
					t.Errorf("got %v, want 64 digests and 6 omitted", said)
				}
				return
			}
			got, _ := json.Marshal(of)
			if strings.Contains(tt.want, `"digest":""`) {
				said["digest"] = ""
				got, _ = json.Marshal(of)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	cache := topbuiltins.NDBCache{}
	cache.Put("oci.x", ast.NewArray(ast.StringTerm("x"), ast.MustParseTerm(`{"a": [1, true], "b": "c d"}`)), ast.Boolean(true))
	if got, _ := json.Marshal(cache); string(got) != `{"oci.x":{"[\"x\",{\"a\":[1,true],\"b\":\"c d\"}]":true}}` {
		t.Errorf("OPA writes operands as %s, want them as ours", got)
	}
}
